// allreduce_tree: sums up a tree and results down it, S each way over every edge. In a node the
// ranks form a chain; across nodes two trees carry half of the buffer each, so that a node that has
// children in one is a leaf of the other (Sanders, Speck and Traeff, Parallel Computing 35(12),
// 2009; NVIDIA, "Massively Scale Your Deep Learning Training with NCCL 2.4").
#include <algorithm>
#include <bit>

#include "sim/plan/collective.h"

namespace moesim {
namespace {

// In-order numbering: a node's level is its trailing zeros; node 0 stands above all.
std::size_t parent_of(std::size_t node, std::size_t nodes) {
  const std::size_t bit = std::size_t{1} << static_cast<unsigned>(std::countr_zero(node));
  const std::size_t right = (node - bit) | (2 * bit);
  return right < nodes ? right : node - bit;
}

// Edges of both trees as [child, parent]; the second is the first counted from the other end, or
// from the next node where that would make the same nodes parents.
std::vector<std::pair<std::size_t, std::size_t>> tree_edges(std::size_t nodes) {
  const auto in_second = [&](std::size_t node) {
    return nodes % 2 == 0 ? nodes - 1 - node : (node + 1) % nodes;
  };
  std::vector<std::pair<std::size_t, std::size_t>> edges;
  for (std::size_t node = 1; node < nodes; ++node) {
    const std::size_t parent = parent_of(node, nodes);
    edges.emplace_back(node, parent);
    edges.emplace_back(in_second(node), in_second(parent));
  }
  return edges;
}

// visit(source, destination): an edge that every group has, in ranks of the group, one way.
template <class Edges>
Leg leg_of_edges(const CollectiveShape& shape, double row_bytes, const Edges& edges) {
  const std::vector<std::uint32_t> sums = rows_of_groups(shape);
  std::vector<std::uint32_t> matrix(shape.ranks() * shape.ranks());
  for (std::size_t first = 0; first < shape.ranks(); first += shape.group())
    edges([&](std::size_t source, std::size_t destination) {
      matrix[(first + source) * shape.ranks() + first + destination] += sums[first];
    });
  return {std::make_shared<RowCounts>(RowCounts::of_matrix(matrix, shape.ranks())), row_bytes};
}

ExchangeTraffic traffic(const CollectiveShape& shape) {
  ExchangeTraffic traffic;
  const std::size_t group = shape.group();
  const std::size_t in_node = has_rails(shape) ? std::min(group, shape.per_node()) : group;
  const std::size_t nodes = group / in_node;
  if (group < 2) return traffic;
  // A channel for each rank of a node begins its chain there, so each joint lacks in one channel.
  const double channel = shape.row_bytes / static_cast<double>(in_node);
  traffic.legs.push_back(
      leg_of_edges(shape, channel * static_cast<double>(in_node - 1), [&](const auto& visit) {
        for (std::size_t rank = 0; in_node > 1 && rank < group; ++rank) {
          const std::size_t next = rank / in_node * in_node + (rank + 1) % in_node;
          visit(rank, next);
          visit(next, rank);
        }
      }));
  traffic.legs.push_back(leg_of_edges(shape, channel / 2, [&](const auto& visit) {
    for (const auto& [child, parent] : tree_edges(nodes))
      for (std::size_t local = 0; local < in_node; ++local) {
        visit(child * in_node + local, parent * in_node + local);
        visit(parent * in_node + local, child * in_node + local);
      }
  }));
  const auto messages = 2 * (in_node - 1 + static_cast<std::size_t>(std::bit_width(nodes - 1)));
  traffic.messages_per_peer = static_cast<double>(messages) / static_cast<double>(group - 1);
  return traffic;
}

const Registered<CollectivePart> registered{
    "allreduce_tree",
    "sums up two trees of nodes, results down: 2 (n - 1) S over all ranks",
    {traffic, "nccl_allreduce", "ring"}};

}  // namespace
}  // namespace moesim
