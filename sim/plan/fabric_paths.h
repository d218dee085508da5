// The path between every two ranks of a fabric, walked once and kept small: what counting bytes per
// link needs, without the graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

// Paths of queue pair 0: one static path for each (source, destination), so a fabric that spreads
// the queue pairs of one pair over spines is seen with one of them. A path is the source's port it
// leaves by, a middle, and the destination's port it comes in by; pairs with the same middle and
// the same choice of ports share one Middle, so a pair takes 4 bytes. Throws std::logic_error when
// a route of the fabric has no link.
class FabricPaths {
 public:
  explicit FabricPaths(const Fabric& fabric);

  static constexpr std::uint16_t kNoPort = 0xFFFF;
  struct Middle {
    std::uint32_t first = 0, last = 0;          // middle_links()[first, last)
    std::uint16_t out = kNoPort, in = kNoPort;  // which ports: out_port(source, out), if any
    double latency = 0;                         // s, of its own links
  };

  std::size_t ranks() const { return ranks_; }
  // By destination; an index into middles(), meaningless for the source itself.
  std::span<const std::uint32_t> middles_from(std::size_t source) const {
    return {middle_of_.data() + source * ranks_, ranks_};
  }
  std::span<const Middle> middles() const { return middles_; }
  std::span<const LinkId> links_of(const Middle& middle) const {
    return {links_.data() + middle.first, links_.data() + middle.last};
  }
  LinkId out_port(std::size_t rank, std::uint16_t port) const { return out_.of[rank][port]; }
  LinkId in_port(std::size_t rank, std::uint16_t port) const { return in_.of[rank][port]; }

  std::span<const double> bandwidth() const { return bandwidth_; }  // B/s, by link
  std::span<const double> link_latency() const { return link_latency_; }
  // Whether the link is of a scale-up domain (tier nvlink); the others make up the scale-out.
  bool scale_up(LinkId link) const { return scale_up_[index(link)] != 0; }
  std::span<const LinkId> ports() const { return ports_; }  // links that paths begin or end with
  BytesPerSecond bisection() const { return bisection_; }

 private:
  struct Ports {                          // the links that leave (or enter) each rank
    std::vector<std::vector<LinkId>> of;  // [rank]
    std::vector<std::uint16_t> number;    // by link: its place there; kNoPort for other links
    std::uint16_t number_of(std::size_t rank, LinkId link);
  };
  class MiddleTable;
  void intern_paths(const Fabric& fabric);
  std::uint32_t middle_of(MiddleTable& table,
                          std::uint16_t out,
                          std::uint16_t in,
                          std::span<const LinkId> links);
  void add_middle(std::uint16_t out, std::uint16_t in, std::span<const LinkId> links);

  std::size_t ranks_;
  std::vector<std::uint32_t> middle_of_;  // by pair
  std::vector<Middle> middles_;
  std::vector<LinkId> links_, ports_;
  Ports out_, in_;
  std::vector<double> bandwidth_, link_latency_;
  std::vector<char> scale_up_;
  BytesPerSecond bisection_;
};

}  // namespace moesim
