// Rows over rails and inside nodes, counted source by source.
#include "sim/plan/all_to_all/rail_legs.h"

#include <utility>

#include "sim/core/error.h"

namespace moesim {
namespace {

// Rows of one source: by destination rank, and by node (those of the own node count nothing).
struct Fan {
  std::vector<std::uint32_t> to_rank, to_node;
};

// Rows inside nodes as they are counted: [rank][local rank of its node].
class LocalRows {
 public:
  LocalRows(std::size_t ranks, std::size_t per_node)
      : ranks_(ranks), per_node_(per_node), rows_(ranks * per_node) {}
  void add(std::size_t from, std::size_t to, std::uint32_t rows) {
    rows_[from * per_node_ + to % per_node_] += rows;
  }
  RowCounts counts() const {
    RowCounts counts;
    std::vector<std::uint32_t> row(ranks_);
    for (std::size_t source = 0; source < ranks_; ++source) {
      const std::size_t first = source / per_node_ * per_node_;
      for (std::size_t peer = 0; peer < per_node_ && first + peer < ranks_; ++peer)
        row[first + peer] = rows_[source * per_node_ + peer];
      counts.add_source(row);
    }
    return counts;
  }

 private:
  std::size_t ranks_, per_node_;
  std::vector<std::uint32_t> rows_;
};

// fill(source, Fan&) adds the source's rows.
template <class FillFan>
RailLegs legs_of(std::size_t ranks, std::size_t per_node, const FillFan& fill) {
  auto rail = std::make_shared<RowCounts>();
  LocalRows local(ranks, per_node);
  std::vector<std::uint32_t> on_rail(ranks);
  Fan fan{std::vector<std::uint32_t>(ranks),
          std::vector<std::uint32_t>((ranks + per_node - 1) / per_node)};
  for (std::size_t source = 0; source < ranks; ++source) {
    fill(source, fan);
    const std::size_t own = source / per_node, local_rank = source % per_node;
    fan.to_node[own] = 0;
    for (std::size_t node = 0; node < fan.to_node.size(); ++node)
      if (fan.to_node[node] > 0)
        on_rail[node * per_node + local_rank] = std::exchange(fan.to_node[node], 0);
    for (std::size_t rank = 0; rank < ranks; ++rank)
      if (fan.to_rank[rank] > 0)
        local.add(rank / per_node * per_node + local_rank, rank,
                  std::exchange(fan.to_rank[rank], 0));
    rail->add_source(on_rail);
  }
  return {rail, std::make_shared<RowCounts>(local.counts())};
}

}  // namespace

void check_whole_nodes(const std::string& algorithm, const ExchangeShape& shape) {
  if (shape.ranks <= shape.ranks_per_node ? shape.ranks_per_node % shape.ranks == 0
                                          : shape.ranks % shape.ranks_per_node == 0)
    return;
  throw InputError(Location{"", 0, 0, "plan.expert_parallel"},
                   algorithm +
                       " forwards over rails: an EP group takes whole nodes or a part of one that "
                       "divides it, not " +
                       std::to_string(shape.ranks) + " ranks on nodes of " +
                       std::to_string(shape.ranks_per_node));
}

RailLegs rail_legs(const std::string& algorithm,
                   const ExchangeShape& shape,
                   const RoutedCopies& routed) {
  check_whole_nodes(algorithm, shape);
  const auto fill = [&](std::size_t source, Fan& fan) {
    for (const auto [rank, rows] : routed.rank_tokens.of(source)) fan.to_rank[rank] = rows;
    for (const auto [node, rows] : routed.node_tokens.of(source)) fan.to_node[node] = rows;
  };
  return legs_of(static_cast<std::size_t>(routed.ranks),
                 static_cast<std::size_t>(shape.ranks_per_node), fill);
}

RailLegs rail_legs_of_all(const std::string& algorithm,
                          const ExchangeShape& shape,
                          const RoutedCopies& routed) {
  check_whole_nodes(algorithm, shape);
  return rail_legs_of_all(shape.ranks, shape.ranks_per_node, routed.tokens);
}

RailLegs rail_legs_of_all(int group_ranks,
                          int ranks_per_node,
                          std::span<const std::uint32_t> rows) {
  const auto group = static_cast<std::size_t>(group_ranks);
  const auto per_node = static_cast<std::size_t>(ranks_per_node);
  return legs_of(rows.size(), per_node, [&](std::size_t source, Fan& fan) {
    const std::size_t first = source / group * group;
    for (std::size_t rank = first; rank < first + group; ++rank) {
      fan.to_rank[rank] = rows[source];
      fan.to_node[rank / per_node] = rows[source];
    }
  });
}

std::vector<ExchangeTraffic> rail_traffic(const RailLegs& legs, double row_bytes, bool transposed) {
  ExchangeTraffic traffic;
  traffic.legs = {{legs.rail, row_bytes, transposed}, {legs.local, row_bytes, transposed}};
  traffic.messages_per_row = 1;
  return {traffic};
}

}  // namespace moesim
