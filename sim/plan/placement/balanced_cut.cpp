// METIS for the rough cut, moves and swaps for the exact one.
#include "sim/plan/placement/balanced_cut.h"

#include <metis.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr std::size_t kStrongest = 16;  // edges of a vertex that METIS sees
constexpr double kTotalWeight = 1e8;    // METIS adds up 32-bit integers

// The graph as METIS reads it: the edges that are among the strongest of either end, since its time
// grows with edges and the swaps afterwards see all. Edges that round to nothing or keep their ends
// apart are left out.
struct MetisGraph {
  std::vector<idx_t> first{0}, neighbours, edge_weight;

  explicit MetisGraph(const ReplicaGraph& graph) {
    double weight = 0;
    const auto [edge, last_edge] = edges(graph);
    for (auto e = edge; e != last_edge; ++e) weight += std::max(graph[*e].weight, 0.0);
    const auto [vertex, last_vertex] = vertices(graph);
    const double per_weight = kTotalWeight / std::max(weight, 1e-300);
    for (auto v = vertex; v != last_vertex; ++v) weakest_.push_back(weakest_of(graph, *v));
    for (auto v = vertex; v != last_vertex; ++v) add_edges(graph, *v, per_weight);
  }

 private:
  // The weight from which on an edge is among the strongest of a vertex.
  static double weakest_of(const ReplicaGraph& graph, std::size_t v) {
    std::vector<double> weights;
    const auto [edge, last_edge] = out_edges(v, graph);
    for (auto e = edge; e != last_edge; ++e) weights.push_back(graph[*e].weight);
    if (weights.size() <= kStrongest) return 0;
    const auto weakest = weights.begin() + kStrongest - 1;
    std::nth_element(weights.begin(), weakest, weights.end(), std::greater<>());
    return *weakest;
  }

  void add_edges(const ReplicaGraph& graph, std::size_t v, double per_weight) {
    const auto [edge, last_edge] = out_edges(v, graph);
    for (auto e = edge; e != last_edge; ++e) {
      const auto scaled = static_cast<idx_t>(std::lround(graph[*e].weight * per_weight));
      const double enough = std::min(weakest_[v], weakest_[target(*e, graph)]);
      if (scaled <= 0 || graph[*e].weight < enough) continue;
      neighbours.push_back(static_cast<idx_t>(target(*e, graph)));
      edge_weight.push_back(scaled);
    }
    first.push_back(static_cast<idx_t>(neighbours.size()));
  }

  std::vector<double> weakest_;  // by vertex
};

std::vector<std::size_t> rough_cut(const ReplicaGraph& graph,
                                   std::size_t parts,
                                   std::uint64_t seed) {
  MetisGraph input(graph);
  const std::size_t size = num_vertices(graph);
  std::vector<idx_t> part(size, 0);
  if (input.neighbours.empty() || parts == size) {
    for (std::size_t v = 0; v < size; ++v) part[v] = static_cast<idx_t>(v * parts / size);
    return {part.begin(), part.end()};
  }
  std::array<idx_t, METIS_NOPTIONS> options{};
  METIS_SetDefaultOptions(options.data());
  options[METIS_OPTION_NITER] = 4;  // of its refinement; the swaps afterwards find the rest
  options[METIS_OPTION_SEED] = static_cast<idx_t>(seed & 0x7FFFFFFF);
  idx_t vertices = static_cast<idx_t>(size), constraints = 1, wanted = static_cast<idx_t>(parts),
        cut = 0;
  real_t tolerance = 1.01F;
  const int status = METIS_PartGraphRecursive(
      &vertices, &constraints, input.first.data(), input.neighbours.data(), nullptr, nullptr,
      input.edge_weight.data(), &wanted, nullptr, &tolerance, options.data(), &cut, part.data());
  if (status == METIS_ERROR_MEMORY)
    throw MachineError("METIS has not enough memory to cut a graph of " + std::to_string(size) +
                       " replicas");
  if (status != METIS_OK)
    throw CheckError("METIS failed to cut a graph of " + std::to_string(size) + " replicas into " +
                     std::to_string(parts) + " parts (status " + std::to_string(status) + ")");
  return {part.begin(), part.end()};
}

// A cut that is changed vertex by vertex; knows how strongly each is joined to each part.
class Cut {
 public:
  Cut(const ReplicaGraph& graph, std::size_t parts, std::vector<std::size_t> part)
      : size_(part.size()),
        parts_(parts),
        part_(std::move(part)),
        weight_(size_ * size_, 0),
        joined_(size_ * parts, 0),
        members_(parts, 0),
        load_(parts, 0) {
    const auto [edge, last_edge] = edges(graph);
    for (auto e = edge; e != last_edge; ++e) {
      const std::size_t a = source(*e, graph), b = target(*e, graph);
      weight_[a * size_ + b] = weight_[b * size_ + a] = graph[*e].weight;
    }
    for (std::size_t v = 0; v < size_; ++v) {
      vertex_load_.push_back(graph[v].load);
      ++members_[part_[v]];
      load_[part_[v]] += vertex_load_[v];
      limit_ += vertex_load_[v] * (1 + kLoadSlack) / static_cast<double>(parts_);
      for (std::size_t u = 0; u < size_; ++u)
        joined_[u * parts_ + part_[v]] += weight_[u * size_ + v];
    }
  }

  // Moves vertices out of parts with too many until all have as many.
  void make_exact() {
    const std::size_t room = size_ / parts_;
    for (std::size_t from = 0; from < parts_; ++from)
      while (members_[from] > room) move_best(from, room);
  }

  void swap_while_it_gains() {
    constexpr int kMostPasses = 20;
    for (int pass = 0; pass < kMostPasses; ++pass) {
      bool swapped = false;
      for (std::size_t a = 0; a < size_; ++a)
        for (std::size_t b = a + 1; b < size_; ++b) swapped = swap_if_it_gains(a, b) || swapped;
      if (!swapped) return;
    }
  }

  std::vector<std::size_t> take() { return std::move(part_); }

 private:
  double joined(std::size_t v, std::size_t part) const { return joined_[v * parts_ + part]; }

  void move(std::size_t v, std::size_t to) {
    const std::size_t from = part_[v];
    for (std::size_t u = 0; u < size_; ++u) {
      joined_[u * parts_ + from] -= weight_[u * size_ + v];
      joined_[u * parts_ + to] += weight_[u * size_ + v];
    }
    --members_[from];
    ++members_[to];
    load_[from] -= vertex_load_[v];
    load_[to] += vertex_load_[v];
    part_[v] = to;
  }

  void move_best(std::size_t from, std::size_t room) {
    std::pair<double, double> best{INFINITY, INFINITY};  // load above the limit, then weight lost
    std::size_t vertex = 0, part = 0;
    for (std::size_t v = 0; v < size_; ++v) {
      if (part_[v] != from) continue;
      for (std::size_t to = 0; to < parts_; ++to) {
        if (members_[to] >= room) continue;
        const std::pair<double, double> loss{std::max(load_[to] + vertex_load_[v] - limit_, 0.0),
                                             joined(v, from) - joined(v, to)};
        if (loss < best) std::tie(best, vertex, part) = std::tie(loss, v, to);
      }
    }
    move(vertex, part);
  }

  bool swap_if_it_gains(std::size_t a, std::size_t b) {
    const std::size_t p = part_[a], q = part_[b];
    if (p == q) return false;
    const double gain =
        joined(a, q) - joined(a, p) + joined(b, p) - joined(b, q) - 2 * weight_[a * size_ + b];
    // Beyond rounding, or swaps could go round in circles.
    if (gain <= 1e-9 * (std::abs(joined(a, p)) + std::abs(joined(b, q)) + 1e-300)) return false;
    const double shift = vertex_load_[b] - vertex_load_[a];
    const double now = std::max(load_[p], load_[q]);
    if (std::max(load_[p] + shift, load_[q] - shift) > std::max(now, limit_)) return false;
    move(a, q);
    move(b, p);
    return true;
  }

  std::size_t size_, parts_;
  std::vector<std::size_t> part_;
  std::vector<double> weight_;  // [vertex][vertex]
  std::vector<double> joined_;  // [vertex][part]: weight of its edges into the part
  std::vector<std::size_t> members_;
  std::vector<double> load_, vertex_load_;
  double limit_ = 0;  // of a part's load
};

}  // namespace

std::vector<std::size_t> balanced_cut(const ReplicaGraph& graph,
                                      std::size_t parts,
                                      std::uint64_t seed) {
  if (parts == 1) return std::vector<std::size_t>(num_vertices(graph), 0);
  Cut cut(graph, parts, rough_cut(graph, parts, seed));
  cut.make_exact();
  cut.swap_while_it_gains();
  return cut.take();
}

}  // namespace moesim
