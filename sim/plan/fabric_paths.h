// The path between every two ranks of a fabric, walked once and kept small: what counting bytes per
// link needs, without the graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

// Paths of queue pair 0: one static path for each (source, destination), so a fabric that spreads
// the queue pairs of one pair over spines is seen with one of them. A path is cut in two halves,
// the one that leaves its source and the one that comes in to its destination. A rank has few
// different halves, however many paths it ends: most sums over paths are sums over halves, and a
// pair takes 4 bytes, 8 where a rank has more than 256 halves of one kind. Throws std::logic_error
// when a route of the fabric has no link, or a rank more than 65,536 halves of one kind.
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
  struct Path {
    std::uint16_t leaving = 0, entering = 0;  // halves: numbers within those of the two ranks
  };

  // The paths that one rank ends, by the rank at the other end; meaningless for the rank itself.
  class PathsOfRank {
   public:
    PathsOfRank(bool is_wide, const std::uint8_t* narrow, const std::uint16_t* wide)
        : is_wide_(is_wide), narrow_(narrow), wide_(wide) {}
    Path operator[](std::size_t other) const {
      if (is_wide_) return {wide_[2 * other], wide_[2 * other + 1]};
      return {narrow_[2 * other], narrow_[2 * other + 1]};
    }

   private:
    bool is_wide_;  // which of the two has them
    const std::uint8_t* narrow_;
    const std::uint16_t* wide_;
  };

  std::size_t ranks() const { return ranks_; }
  // Kept in both orders, so that who looks at one rank after the other reads them as they lie.
  PathsOfRank paths_from(std::size_t source) const { return from_.of(source, ranks_); }
  PathsOfRank paths_into(std::size_t destination) const { return into_.of(destination, ranks_); }
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
  // [rank][rank at the other end][leaving, entering]; one of the two is empty.
  struct Table {
    std::vector<std::uint8_t> narrow;
    std::vector<std::uint16_t> wide;
    void resize(std::size_t paths, bool to_bytes) {
      narrow.resize(to_bytes ? 2 * paths : 0);
      wide.resize(to_bytes ? 0 : 2 * paths);
    }
    void set(std::size_t at, Path path) {
      if (narrow.empty()) {
        wide[2 * at] = path.leaving;
        wide[2 * at + 1] = path.entering;
      } else {
        narrow[2 * at] = static_cast<std::uint8_t>(path.leaving);
        narrow[2 * at + 1] = static_cast<std::uint8_t>(path.entering);
      }
    }
    PathsOfRank of(std::size_t rank, std::size_t ranks) const {
      const std::size_t first = 2 * rank * ranks;
      return {narrow.empty(), narrow.data() + (narrow.empty() ? 0 : first),
              wide.data() + (narrow.empty() ? first : 0)};
    }
  };
  template <class PathOf>
  void fill_tables(std::size_t threads, const PathOf& path_of);

  std::size_t ranks_;
  Table from_, into_;
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
