// The path between every two ranks of a fabric, walked once and kept as one array: what counting
// bytes per link needs, without the graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

// Paths of queue pair 0: one static path for each (source, destination), so a fabric that spreads
// the queue pairs of one pair over spines is seen with one of them. 4 bytes a link and 12 a pair:
// about 3 MB at 320 ranks. Throws std::logic_error when a route of the fabric has no link.
class FabricPaths {
 public:
  explicit FabricPaths(const Fabric& fabric);

  std::size_t ranks() const { return ranks_; }
  // Links from source to destination in order; empty when they are the same rank.
  std::span<const LinkId> path(std::size_t source, std::size_t destination) const {
    const std::size_t pair = source * ranks_ + destination;
    return {links_.data() + first_[pair], links_.data() + first_[pair + 1]};
  }
  double latency(std::size_t source, std::size_t destination) const {  // s
    return latency_[source * ranks_ + destination];
  }
  std::span<const double> bandwidth() const { return bandwidth_; }  // B/s, by link
  std::span<const LinkId> ports() const { return ports_; }          // links of tier nvlink and nic
  BytesPerSecond bisection() const { return bisection_; }

 private:
  std::size_t ranks_;
  std::vector<std::uint32_t> first_;  // by pair, and the end
  std::vector<LinkId> links_, ports_;
  std::vector<double> latency_, bandwidth_;
  BytesPerSecond bisection_;
};

}  // namespace moesim
