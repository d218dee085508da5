// Paths around missing links, by counts of links from every device to a rank.
#include "sim/cluster/detours.h"

#include <algorithm>
#include <boost/range/iterator_range.hpp>
#include <limits>
#include <memory>

#include "sim/cluster/equal_hops.h"

namespace moesim {
namespace {

using Count = std::uint16_t;
constexpr Count kUnreached = std::numeric_limits<Count>::max();

bool all_present(const std::vector<char>& present, const std::vector<LinkId>& path) {
  return std::all_of(path.begin(), path.end(),
                     [&](LinkId link) { return present[index(link)] != 0; });
}

class Detours {
 public:
  explicit Detours(const Fabric& fabric);

  // Appends the path; false, and nothing appended, where there is none.
  bool route(Rank from, Rank to, std::uint32_t queue_pair, std::vector<LinkId>& path) const;
  const Route& before() const { return before_; }
  // Walks all pairs, keeps the counts that their detours need, marks who passes on.
  void walk(std::vector<char>& passes_on);

 private:
  struct Hop {
    LinkId link{};
    Vertex to = 0;
  };
  // Two ranks by way of GPUs of their nodes: from -> first -> last -> to.
  struct Neighbours {
    Rank first{}, last{};
  };
  bool direct(Rank from, Rank to, std::uint32_t queue_pair, std::vector<LinkId>& path) const;
  bool over_switches(Rank from, Rank to, std::uint32_t queue_pair, std::vector<LinkId>& path) const;
  bool over_neighbours(Rank from,
                       Rank to,
                       std::uint32_t queue_pair,
                       std::vector<LinkId>& path,
                       Neighbours& taken) const;
  std::vector<Count> counts_to(Rank to) const;
  Rank neighbour(Rank rank, std::size_t distance) const;

  Route before_;
  std::size_t ranks_, ranks_per_node_;
  std::vector<char> present_;
  std::vector<std::vector<Hop>> out_;       // by device
  std::vector<std::vector<Vertex>> into_;   // by device
  std::vector<std::vector<Count>> counts_;  // by rank, then device; empty = not kept
};

Detours::Detours(const Fabric& fabric)
    : before_(fabric.route),
      ranks_(static_cast<std::size_t>(fabric.ranks)),
      ranks_per_node_(static_cast<std::size_t>(fabric.ranks_per_node)),
      present_(present_links(fabric)),
      out_(boost::num_vertices(fabric.graph)),
      into_(out_.size()),
      counts_(ranks_) {
  for (const auto edge : boost::make_iterator_range(boost::edges(fabric.graph))) {
    const Vertex from = boost::source(edge, fabric.graph), to = boost::target(edge, fabric.graph);
    out_[from].push_back({fabric.graph[edge], to});
    into_[to].push_back(from);
  }
}

// Links on the shortest way from every device to the rank, through no third GPU.
std::vector<Count> Detours::counts_to(Rank to) const {
  std::vector<Count> counts(out_.size(), kUnreached);
  std::vector<Vertex> open{index(to)};
  counts[index(to)] = 0;
  for (std::size_t next = 0; next < open.size(); ++next) {
    const Vertex at = open[next];
    if (at < ranks_ && at != index(to)) continue;  // a GPU passes nothing on
    for (const Vertex from : into_[at]) {
      if (counts[from] != kUnreached) continue;
      counts[from] = static_cast<Count>(counts[at] + 1);
      open.push_back(from);
    }
  }
  return counts;
}

bool Detours::direct(Rank from,
                     Rank to,
                     std::uint32_t queue_pair,
                     std::vector<LinkId>& path) const {
  std::vector<LinkId> usual;
  before_(from, to, queue_pair, usual);
  if (!all_present(present_, usual)) return over_switches(from, to, queue_pair, path);
  path.insert(path.end(), usual.begin(), usual.end());
  return true;
}

// Equal ways share the pairs of ranks by both ends: pairs from one rank or to one rank take all.
bool Detours::over_switches(Rank from,
                            Rank to,
                            std::uint32_t queue_pair,
                            std::vector<LinkId>& path) const {
  const bool kept = !counts_[index(to)].empty();
  const std::vector<Count> own = kept ? std::vector<Count>{} : counts_to(to);
  const std::vector<Count>& counts = kept ? counts_[index(to)] : own;
  if (counts[index(from)] == kUnreached) return false;
  const auto place = [&](Rank rank) {
    return index(rank) / ranks_per_node_ + index(rank) % ranks_per_node_;
  };
  const std::size_t start = place(from) + place(to) + queue_pair;
  append_way(
      {index(from), index(to), ranks_, start}, out_,
      [&](std::size_t at, const Hop& hop) {
        return counts[hop.to] != kUnreached && counts[hop.to] + 1 == counts[at];
      },
      path);
  return true;
}

Rank Detours::neighbour(Rank rank, std::size_t distance) const {
  const std::size_t first = index(rank) / ranks_per_node_ * ranks_per_node_;
  return id_of<Rank>(first + (index(rank) - first + distance) % ranks_per_node_);
}

// The nearest neighbours by the sum of both distances, the source's first.
bool Detours::over_neighbours(Rank from,
                              Rank to,
                              std::uint32_t queue_pair,
                              std::vector<LinkId>& path,
                              Neighbours& taken) const {
  std::vector<LinkId> around;
  const auto leg = [&](Rank a, Rank b) { return a == b || direct(a, b, queue_pair, around); };
  for (std::size_t both = 1; both + 1 < 2 * ranks_per_node_; ++both) {
    const std::size_t most = std::min(both, ranks_per_node_ - 1);
    for (std::size_t i = most + 1; i-- > both - std::min(both, ranks_per_node_ - 1);) {
      const Rank first = neighbour(from, i), last = neighbour(to, both - i);
      if (first == to || last == from || first == last) continue;
      around.clear();
      if (!leg(from, first) || !leg(first, last) || !leg(last, to)) continue;
      path.insert(path.end(), around.begin(), around.end());
      taken = {first, last};
      return true;
    }
  }
  return false;
}

bool Detours::route(Rank from, Rank to, std::uint32_t queue_pair, std::vector<LinkId>& path) const {
  Neighbours taken;
  return direct(from, to, queue_pair, path) || over_neighbours(from, to, queue_pair, path, taken);
}

void Detours::walk(std::vector<char>& passes_on) {
  passes_on.resize(ranks_);
  std::vector<LinkId> path;
  for (std::size_t pair = 0; pair < ranks_ * ranks_; ++pair) {
    const Rank from = id_of<Rank>(pair / ranks_), to = id_of<Rank>(pair % ranks_);
    if (from == to) continue;
    path.clear();
    before_(from, to, 0, path);
    if (all_present(present_, path)) continue;
    if (counts_[index(to)].empty()) counts_[index(to)] = counts_to(to);
    path.clear();
    Neighbours taken;
    if (over_switches(from, to, 0, path) || !over_neighbours(from, to, 0, path, taken)) continue;
    if (taken.first != from) passes_on[index(taken.first)] = 1;
    if (taken.last != to) passes_on[index(taken.last)] = 1;
  }
}

}  // namespace

std::vector<char> present_links(const Fabric& fabric) {
  std::vector<char> present(fabric.links.size());
  for (const auto edge : boost::make_iterator_range(boost::edges(fabric.graph)))
    present[index(fabric.graph[edge])] = 1;
  return present;
}

bool is_whole(const Fabric& fabric, const std::vector<char>& present, Rank from, Rank to) {
  std::vector<LinkId> path;
  fabric.route(from, to, 0, path);
  return all_present(present, path);
}

void take_out(Fabric& fabric, const std::vector<LinkId>& links) {
  std::vector<char> gone(fabric.links.size());
  for (const LinkId link : links) gone[index(link)] = 1;
  boost::remove_edge_if([&](const auto& edge) { return gone[index(fabric.graph[edge])] != 0; },
                        fabric.graph);
  const auto detours = std::make_shared<Detours>(fabric);
  detours->walk(fabric.passes_on);
  fabric.route = [detours = std::shared_ptr<const Detours>(detours)](
                     Rank from, Rank to, std::uint32_t queue_pair, std::vector<LinkId>& path) {
    if (from == to || detours->route(from, to, queue_pair, path)) return;
    detours->before()(from, to, queue_pair, path);
  };
}

}  // namespace moesim
