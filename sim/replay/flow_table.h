// The transfers of an exchange: its flows, or fewer that take the same time.
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
    std::uint32_t first_link = 0, last_link = 0;
    Rank to{};
  };

  // One for each exchange of the step, of its flows that put bytes on a link. `merged` merges flows
  // of one source and destination, and leaves out links that limit none: those not full even when
  // the ports of all flows that the step ever puts on them run at full rate.
  static std::vector<FlowTable> of_step(const StepGraph& graph, const Fabric& fabric, bool merged);

  std::span<const Transfer> transfers() const { return transfers_; }
  std::span<const Transfer> from(std::size_t source) const {
    return transfers().subspan(first_[source], first_[source + 1] - first_[source]);
  }
  std::uint32_t number(const Transfer& transfer) const {
    return static_cast<std::uint32_t>(&transfer - transfers_.data());
  }
  std::span<const LinkId> path(const Transfer& transfer) const {
    return {links_.data() + transfer.first_link, links_.data() + transfer.last_link};
  }
  const std::vector<std::uint32_t>& incoming() const { return incoming_; }  // by destination

 private:
  FlowTable(const Exchange& exchange, const Fabric& fabric, std::size_t ranks, bool merged);
  void leave_out(const std::vector<char>& links);

  std::vector<Transfer> transfers_;  // source by source
  std::vector<LinkId> links_;
  std::vector<std::size_t> first_;  // by source, and the end
  std::vector<std::uint32_t> incoming_;
};

}  // namespace moesim
