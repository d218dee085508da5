// nccl_pairwise: all-to-all-v as Megatron's alltoall dispatcher calls it. One row per (token,
// expert), no de-duplication, one message to each peer; the counts are all-gathered first.
#include <algorithm>
#include <utility>

#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

ExchangeTraffic rows_of_copies(Leg leg) {
  ExchangeTraffic traffic;
  traffic.legs = {std::move(leg)};
  traffic.messages_per_peer = 1;
  traffic.row_per_copy = true;
  return traffic;
}

std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  // The all-gather of the counts is latency only: it stands in the calibration's `fixed`.
  return {rows_of_copies(leg_of(routed, routed->copies, row_bytes(shape.hidden, shape.dispatch)))};
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  return {
      rows_of_copies(leg_of(routed, routed->copies, row_bytes(shape.hidden, shape.combine), true))};
}

// Rows sent, M k, and rows received at worst: all tokens of all ranks choose this rank's experts,
// P M min(k, E / P). Dispatch and combine need both, at different times: the larger counts.
Bytes buffer_bytes(const ExchangeShape& shape) {
  const int local_experts = shape.physical_experts / shape.ranks;
  const double tokens = shape.max_tokens_per_rank;
  const double rows =
      tokens * shape.top_k + tokens * shape.ranks * std::min(shape.top_k, local_experts);
  return Bytes(rows * std::max(row_bytes(shape.hidden, shape.dispatch),
                               row_bytes(shape.hidden, shape.combine)));
}

const Registered<AllToAllPart> registered{
    "nccl_pairwise",
    "NCCL all-to-all-v: one row per (token, expert), one message a peer, counts gathered first",
    {dispatch, combine, buffer_bytes}};

}  // namespace
}  // namespace moesim
