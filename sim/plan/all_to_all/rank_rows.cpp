// One row per token and distinct destination rank.
#include "sim/plan/all_to_all/rank_rows.h"

namespace moesim {

AllToAllPart::Traffic rank_rows_dispatch() {
  return [](const ExchangeShape& shape, const std::shared_ptr<const RoutedCopies>& routed) {
    ExchangeTraffic traffic;
    traffic.legs = {leg_of(routed, routed->rank_tokens, row_bytes(shape.hidden, shape.dispatch))};
    traffic.messages_per_peer = 1;
    return std::vector<ExchangeTraffic>{traffic};
  };
}

AllToAllPart::Traffic rank_rows_combine() {
  return [](const ExchangeShape& shape, const std::shared_ptr<const RoutedCopies>& routed) {
    ExchangeTraffic traffic;
    traffic.legs = {
        leg_of(routed, routed->rank_tokens, row_bytes(shape.hidden, shape.combine), true)};
    traffic.messages_per_peer = 1;
    return std::vector<ExchangeTraffic>{traffic};
  };
}

Bytes rank_rows_buffers(const ExchangeShape& shape) {
  const double rows = static_cast<double>(shape.ranks) * shape.max_tokens_per_rank;
  return Bytes(rows * (row_bytes(shape.hidden, shape.dispatch) + 8.0 * shape.top_k +
                       row_bytes(shape.hidden, shape.combine)));
}

}  // namespace moesim
