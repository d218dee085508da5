// hierarchical_2d: Tutel's 2DH. Every rank pads what it has for an expert to the same capacity C,
// which makes equal slices of S = C h b E/P for all ranks; a first stage gathers inside each node
// the slices for the same local rank, a second sends them over the rail, with a copy before each
// that lays them out (Hwang et al., "Tutel", MLSys 2023, arXiv 2206.03382, two-dimensional
// hierarchical all-to-all).
#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/plan/all_to_all/rail_legs.h"

namespace moesim {
namespace {

// Of a rank with that many tokens: k floor(f ceil(T / E)), as Tutel counts it (tutel/impls/
// fast_dispatch.py, extract_critical), for factor f.
double capacity_of(const ExchangeShape& shape, double tokens) {
  return shape.top_k *
         std::floor(shape.capacity_factor * std::ceil(tokens / shape.physical_experts));
}

// Rows of a slice, by EP group. Where the factor is too small the capacity grows to what the
// fullest expert needs, so no copy is dropped (docs/decisions/0014).
std::vector<std::uint32_t> slice_rows(const ExchangeShape& shape, const RoutedCopies& routed) {
  const auto group = static_cast<std::size_t>(shape.ranks);
  std::vector<std::uint32_t> rows;
  for (std::size_t i = 0; i < routed.most_for_expert.size(); ++i) {
    const auto first = routed.tokens.begin() + static_cast<std::ptrdiff_t>(i * group);
    const double tokens = *std::max_element(first, first + static_cast<std::ptrdiff_t>(group));
    const double capacity = std::max<double>(routed.most_for_expert[i], capacity_of(shape, tokens));
    rows.push_back(static_cast<std::uint32_t>(capacity) *
                   static_cast<std::uint32_t>(shape.physical_experts / shape.ranks));
  }
  return rows;
}

// From every rank `slices` slices to each rank r of its group where reaches(source, r).
template <class Reaches>
std::shared_ptr<const RowCounts> rows_to(const ExchangeShape& shape,
                                         const std::vector<std::uint32_t>& slice,
                                         std::uint32_t slices,
                                         const Reaches& reaches) {
  const auto group = static_cast<std::size_t>(shape.ranks);
  const std::size_t ranks = slice.size() * group;
  RowCounts counts;
  std::vector<std::uint32_t> row(ranks);
  for (std::size_t source = 0; source < ranks; ++source) {
    const std::size_t first = source / group * group;
    for (std::size_t rank = first; rank < first + group; ++rank)
      if (reaches(source, rank)) row[rank] = slices * slice[source / group];
    counts.add_source(row);
  }
  return std::make_shared<RowCounts>(std::move(counts));
}

ExchangeTraffic stage_of(const ExchangeShape& shape, Leg leg, int partners, Bytes copied) {
  ExchangeTraffic stage;
  stage.legs = {std::move(leg)};
  stage.messages_per_peer = static_cast<double>(partners - 1) / std::max(1, shape.ranks - 1);
  stage.copied = copied;
  return stage;
}

// Inside the node first, then over the rail. Combine goes the same ways back.
std::vector<ExchangeTraffic> stages(const ExchangeShape& shape,
                                    const RoutedCopies& routed,
                                    double row,
                                    bool transposed) {
  check_whole_nodes("hierarchical_2d", shape);
  const int in_node = std::min(shape.ranks, shape.ranks_per_node), nodes = shape.ranks / in_node;
  const auto per_node = static_cast<std::size_t>(shape.ranks_per_node);
  const std::vector<std::uint32_t> slice = slice_rows(shape, routed);
  std::uint32_t largest = 0;  // of nobody's rows, as check_shape asks, too
  for (const std::uint32_t rows : slice) largest = std::max(largest, rows);
  const Bytes buffer(nodes > 1 ? static_cast<double>(largest) * shape.ranks * row
                               : 0);  // one node: nothing to lay out
  std::vector<ExchangeTraffic> stages;
  const auto near = [&](std::size_t a, std::size_t b) { return a / per_node == b / per_node; };
  const auto on_rail = [&](std::size_t a, std::size_t b) { return a % per_node == b % per_node; };
  stages.push_back(stage_of(
      shape, {rows_to(shape, slice, static_cast<std::uint32_t>(nodes), near), row, transposed},
      in_node, buffer));
  if (nodes > 1)
    stages.push_back(stage_of(
        shape,
        {rows_to(shape, slice, static_cast<std::uint32_t>(in_node), on_rail), row, transposed},
        nodes, buffer));
  if (transposed) std::reverse(stages.begin(), stages.end());
  return stages;
}

std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  return stages(shape, *routed, row_bytes(shape.hidden, shape.dispatch), false);
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  return stages(shape, *routed, row_bytes(shape.hidden, shape.combine), true);
}

// What is sent and what arrives, E C rows each of the larger format. The fullest expert may get all
// M tokens of a rank.
Bytes buffer_bytes(const ExchangeShape& shape) {
  const double tokens = shape.max_tokens_per_rank;
  const double capacity = std::max(tokens, capacity_of(shape, tokens));
  return Bytes(
      2 * shape.physical_experts * capacity *
      std::max(row_bytes(shape.hidden, shape.dispatch), row_bytes(shape.hidden, shape.combine)));
}

const Registered<AllToAllPart> registered{
    "hierarchical_2d",
    "Tutel 2DH: equal padded slices, gathered inside nodes, then sent over rails",
    {dispatch, combine, buffer_bytes}};

}  // namespace
}  // namespace moesim
