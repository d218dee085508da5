// deepep_low_latency: one message per (token, expert) straight to the target rank, and one count
// write per expert; buffers have room for every token at every expert, twice.
#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

constexpr double kMessageHeader = 16;  // bytes: the token's index, padded

std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  ExchangeTraffic traffic;
  traffic.legs = {
      leg_of(routed, routed->copies, kMessageHeader + row_bytes(shape.hidden, shape.dispatch))};
  traffic.messages_per_row = 1;
  traffic.messages_per_peer = static_cast<double>(shape.physical_experts) / shape.ranks;
  traffic.row_per_copy = true;
  return {traffic};
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  ExchangeTraffic traffic;
  traffic.legs = {leg_of(routed, routed->copies, row_bytes(shape.hidden, shape.combine), true)};
  traffic.messages_per_row = 1;
  traffic.row_per_copy = true;
  return {traffic};
}

// 2 x (E M 2h + E M (16 + 2h)) + counts: two sets, each with messages to combine and messages to
// dispatch at their largest format, bf16; two counts of 4 bytes per expert.
Bytes buffer_bytes(const ExchangeShape& shape) {
  const double slots = static_cast<double>(shape.physical_experts) * shape.max_tokens_per_rank;
  const double row = row_bytes(shape.hidden, PayloadFormat::bf16);
  return Bytes(2 * (slots * row + slots * (kMessageHeader + row)) +
               2 * 4.0 * shape.physical_experts);
}

const Registered<AllToAllPart> registered{
    "deepep_low_latency",
    "DeepEP low latency: one message per (token, expert) straight to its rank, fixed buffers",
    {dispatch, combine, buffer_bytes}};

}  // namespace
}  // namespace moesim
