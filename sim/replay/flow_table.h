// The transfers of one exchange: its flows, or fewer that take the same time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/plan/step_graph.h"

namespace moesim {

class FlowTable {
 public:
  struct Transfer {
    double bytes = 0;  // over links at their full rate: flow bytes / reached share
    // Links that could limit it come first, and end before last_limit.
    std::uint32_t first_link = 0, last_limit = 0, last_link = 0, first_to = 0, last_to = 0;
  };

  // Flows that put bytes on a link. A link that is not full even when the ports of all its flows
  // run at full rate limits none of them. `merged` leaves such links out and merges flows of one
  // source and destination.
  FlowTable(const Exchange& exchange, const Fabric& fabric, std::size_t ranks, bool merged);

  std::span<const Transfer> transfers() const { return transfers_; }
  std::span<const Transfer> from(std::size_t source) const {
    return transfers().subspan(first_[source], first_[source + 1] - first_[source]);
  }
  std::uint32_t number(const Transfer& transfer) const {
    return static_cast<std::uint32_t>(&transfer - transfers_.data());
  }
  std::span<const LinkId> limits(const Transfer& transfer) const {
    return {links_.data() + transfer.first_link, links_.data() + transfer.last_limit};
  }
  std::span<const LinkId> path(const Transfer& transfer) const {
    return {links_.data() + transfer.first_link, links_.data() + transfer.last_link};
  }
  std::span<const Rank> destinations(const Transfer& transfer) const {
    return {destinations_.data() + transfer.first_to, destinations_.data() + transfer.last_to};
  }
  const std::vector<std::uint32_t>& incoming() const { return incoming_; }  // by destination

 private:
  std::vector<Transfer> transfers_;  // source by source
  std::vector<LinkId> links_;
  std::vector<Rank> destinations_;
  std::vector<std::size_t> first_;  // by source, and the end
  std::vector<std::uint32_t> incoming_;
};

}  // namespace moesim
