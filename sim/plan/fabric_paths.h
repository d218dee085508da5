// The path between every two ranks of a fabric, walked once and kept small: what counting bytes per
// link needs, without the graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/plan/path_table.h"

namespace moesim {

// Paths of queue pair 0: one static path for each (source, destination), so a fabric that spreads
// the queue pairs of one pair over spines is seen with one of them. A path is cut in two halves,
// the one that leaves its source and the one that comes in to its destination. A rank has few
// different halves, however many paths it ends: most sums over paths are sums over halves. Throws
// std::logic_error when a route of the fabric has no link, or a rank more than 65,536 halves of one
// kind.
class FabricPaths {
 public:
  // The result does not depend on `threads`.
  explicit FabricPaths(const Fabric& fabric, int threads = 1);

  static constexpr LinkId kNoLink{-1};
  // The rank's own link and the links between it and the middle of the path. A path of one link is
  // all its first half.
  struct Half {
    LinkId port = kNoLink;
    std::uint32_t run = 0;  // links_of(run)
    double latency = 0;     // s, of all its links
  };
  using Path = PathHalves;

  std::size_t ranks() const { return ranks_; }
  // Kept in both orders, so that who looks at one rank after the other reads them as they lie.
  // Meaningless for the rank itself.
  PathTable::Row paths_from(std::size_t source) const { return table_.from(source); }
  PathTable::Row paths_into(std::size_t destination) const { return table_.into(destination); }
  // The largest latency of a path into each rank, in s: when it is reached, looking on is vain.
  std::span<const double> slowest_into() const { return slowest_into_; }
  // Halves of all ranks, one rank's after the other's.
  struct Halves {
    std::vector<Half> all;
    std::vector<std::uint32_t> first;  // by rank, and the end
  };
  const Halves& leaving() const { return leaving_; }
  const Halves& entering() const { return entering_; }
  std::size_t runs() const { return run_first_.size() - 1; }
  std::span<const LinkId> links_of(std::size_t run) const {
    return {links_.data() + run_first_[run], links_.data() + run_first_[run + 1]};
  }

  // Calls visit(link) along the path until it returns false; whether it never did.
  template <class Visit>
  bool follow(std::size_t source, std::size_t destination, const Visit& visit) const {
    return follow(source, destination, paths_from(source)[destination], visit);
  }
  template <class Visit>
  bool follow(std::size_t source, std::size_t destination, Path path, const Visit& visit) const;

  std::span<const double> bandwidth() const { return bandwidth_; }  // B/s, by link
  // Whether the link is of a scale-up domain (tier nvlink); the others make up the scale-out.
  bool scale_up(LinkId link) const { return scale_up_[index(link)] != 0; }
  std::span<const LinkId> ports() const { return ports_; }  // links that paths begin or end with
  BytesPerSecond bisection() const { return bisection_; }

 private:
  template <class PathOf>
  void fill_table(std::size_t threads, const PathOf& path_of);

  std::size_t ranks_;
  PathTable table_;
  std::vector<double> slowest_into_;
  Halves leaving_, entering_;
  std::vector<std::uint32_t> run_first_;  // by run, and the end
  std::vector<LinkId> links_, ports_;
  std::vector<double> bandwidth_;
  std::vector<char> scale_up_;
  BytesPerSecond bisection_;
};

template <class Visit>
bool FabricPaths::follow(std::size_t source,
                         std::size_t destination,
                         Path path,
                         const Visit& visit) const {
  const Half& leaves = leaving_.all[leaving_.first[source] + path.leaving];
  const Half& enters = entering_.all[entering_.first[destination] + path.entering];
  if (leaves.port != kNoLink && !visit(leaves.port)) return false;
  for (const std::uint32_t run : {leaves.run, enters.run})
    for (const LinkId link : links_of(run))
      if (!visit(link)) return false;
  return enters.port == kNoLink || visit(enters.port);
}

}  // namespace moesim
