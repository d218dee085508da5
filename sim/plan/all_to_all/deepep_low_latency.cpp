// deepep_low_latency: one message per (token, expert) straight to the target rank, and one count
// write per expert; buffers have room for every token at every expert, twice.
#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

constexpr double kMessageHeader = 16;  // bytes: the token's index, padded

ExchangeTraffic dispatch(const ExchangeShape& shape) {
  return {kMessageHeader + row_bytes(shape.hidden, shape.dispatch), false, 1,
          static_cast<double>(shape.physical_experts) / shape.ranks};
}

ExchangeTraffic combine(const ExchangeShape& shape) {
  return {row_bytes(shape.hidden, shape.combine), true, 1, 0};
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
