// One row per token and distinct destination rank.
#include "sim/plan/all_to_all/rank_rows.h"

#include <algorithm>
#include <utility>

namespace moesim {
namespace {

// What a rank does for its peers grows with the ranks a token reaches: measured up to 8 ranks at
// k 8, where both are all; beyond, a token still reaches no more than k.
ExchangeTraffic traffic_of(const ExchangeShape& shape, const RoutedCopies& routed, Leg leg) {
  ExchangeTraffic traffic;
  traffic.tokens = routed.tokens;
  traffic.token_bytes = leg.row_bytes;
  traffic.legs = {std::move(leg)};
  if (shape.ranks > 1)
    traffic.messages_per_peer =
        static_cast<double>(std::min(shape.ranks - 1, shape.top_k)) / (shape.ranks - 1);
  return traffic;
}

}  // namespace

AllToAllPart::Traffic rank_rows_dispatch() {
  return [](const ExchangeShape& shape, const std::shared_ptr<const RoutedCopies>& routed) {
    return std::vector<ExchangeTraffic>{
        traffic_of(shape, *routed,
                   leg_of(routed, routed->rank_tokens, row_bytes(shape.hidden, shape.dispatch)))};
  };
}

AllToAllPart::Traffic rank_rows_combine() {
  return [](const ExchangeShape& shape, const std::shared_ptr<const RoutedCopies>& routed) {
    return std::vector<ExchangeTraffic>{traffic_of(
        shape, *routed,
        leg_of(routed, routed->rank_tokens, row_bytes(shape.hidden, shape.combine), true))};
  };
}

Bytes rank_rows_buffers(const ExchangeShape& shape) {
  const double rows = static_cast<double>(shape.ranks) * shape.max_tokens_per_rank;
  return Bytes(rows * (row_bytes(shape.hidden, shape.dispatch) + 8.0 * shape.top_k +
                       row_bytes(shape.hidden, shape.combine)));
}

}  // namespace moesim
