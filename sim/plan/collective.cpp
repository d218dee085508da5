// What the collectives share: shapes, rings, NCCL's choice, and the way to an Exchange.
#include "sim/plan/collective.h"

#include <algorithm>
#include <stdexcept>

#include "sim/plan/weakest_timing.h"

namespace moesim {
namespace {

bool in_one_node(const CollectiveShape& shape) {
  return shape.group_ranks <= shape.ranks_per_node && shape.ranks_per_node % shape.group_ranks == 0;
}

// Ranks of a group that lie in one node, of groups that have rails.
std::size_t group_in_node(const CollectiveShape& shape) {
  return std::min(shape.group(), shape.per_node());
}

// next(source) is where a rank sends the rows of its whole group.
template <class Next>
Leg leg_to(const CollectiveShape& shape, double row_bytes, const Next& next) {
  const std::vector<std::uint32_t> sums = rows_of_groups(shape);
  RowCounts counts;
  std::vector<std::uint32_t> row(shape.ranks());
  for (std::size_t source = 0; source < shape.ranks(); ++source) {
    const std::size_t destination = next(source);
    if (destination != source) row[destination] = sums[source];
    counts.add_source(row);
  }
  return {std::make_shared<RowCounts>(std::move(counts)), row_bytes};
}

// Whether the first two ranks reach each other through a switch of an NVLink domain.
bool over_nvswitch(const Fabric& fabric) {
  std::vector<LinkId> path;
  fabric.route(Rank{0}, Rank{1}, 0, path);
  const std::vector<LinkEnds> ends = link_ends(fabric);
  return std::any_of(path.begin(), path.end(), [&](LinkId link) {
    return fabric.graph[ends[index(link)].to].kind == DeviceKind::nvswitch;
  });
}

}  // namespace

CollectiveShape even_shares(int ranks, int group_ranks, int ranks_per_node, Bytes buffer) {
  return {group_ranks, ranks_per_node,
          std::vector<std::uint32_t>(static_cast<std::size_t>(ranks), 1),
          buffer.value / group_ranks};
}

bool has_rails(const CollectiveShape& shape) {
  return in_one_node(shape) || shape.group_ranks % shape.ranks_per_node == 0;
}

std::vector<std::uint32_t> rows_of_groups(const CollectiveShape& shape) {
  std::vector<std::uint32_t> sums(shape.ranks());
  for (std::size_t first = 0; first < sums.size(); first += shape.group()) {
    std::uint32_t sum = 0;
    for (std::size_t rank = first; rank < first + shape.group(); ++rank) sum += shape.rows[rank];
    std::fill_n(sums.begin() + static_cast<std::ptrdiff_t>(first), shape.group(), sum);
  }
  return sums;
}

std::vector<Leg> ring_legs(const CollectiveShape& shape, double rounds) {
  const std::size_t group = shape.group();
  const auto next_in = [](std::size_t rank, std::size_t size) {
    return rank / size * size + (rank + 1) % size;
  };
  if (!has_rails(shape) || in_one_node(shape))
    return {leg_to(shape, rounds * shape.row_bytes,
                   [&](std::size_t rank) { return next_in(rank, group); })};
  const std::size_t per_node = group_in_node(shape);
  const double channel = rounds * shape.row_bytes / static_cast<double>(per_node);
  return {leg_to(shape, channel * static_cast<double>(per_node - 1),
                 [&](std::size_t rank) { return next_in(rank, per_node); }),
          leg_to(shape, channel, [&](std::size_t rank) {
            return rank / group * group + (rank % group + per_node) % group;
          })};
}

Exchange make_collective(const Cluster& cluster,
                         const FabricPaths& paths,
                         const std::string& name,
                         const CollectiveShape& shape,
                         KeptParts kept) {
  if (shape.group_ranks < 1 || shape.ranks() % shape.group() != 0)
    throw std::logic_error("groups of a collective divide its ranks");
  const CollectivePart& part = Catalog<CollectivePart>::instance().at(name, "collective");
  ExchangeInputs inputs;
  inputs.algorithm = "nccl_" + name;
  inputs.traffic = part.traffic(shape);
  inputs.timing = weakest_timing({part.timing, part.direction, in_one_node(shape)}, cluster,
                                 static_cast<int>(shape.ranks()));
  inputs.peers = shape.group_ranks - 1;
  inputs.keep_flows = kept.flows;
  inputs.keep_shares = kept.shares;
  return make_exchange(paths, static_cast<int>(shape.ranks()), inputs);
}

std::string nccl_allreduce(const Cluster& cluster,
                           const FabricPaths& paths,
                           const CollectiveShape& shape) {
  if (shape.group_ranks > 2 && in_one_node(shape) && cluster.accelerator.in_network_reduction &&
      over_nvswitch(cluster.fabric))
    return "allreduce_in_network";
  const auto time = [&](const std::string& name) {
    return exchange_time(make_collective(cluster, paths, name, shape));
  };
  return time("allreduce_tree") < time("allreduce_ring") ? "allreduce_tree" : "allreduce_ring";
}

}  // namespace moesim
