// allgather_reducescatter: every rank gathers all tokens of its EP group and reduce-scatters the
// experts' partial sums (vLLM's default, Megatron's allgather dispatcher). Bytes know neither k nor
// skew: (P - 1) T h b received, as many sent back. Across nodes each row crosses a rail once a node
// and is passed on over NVLink, as NCCL's rings and trees do.
#include "sim/plan/all_to_all/rail_legs.h"

namespace moesim {
namespace {

constexpr const char* kName = "allgather_reducescatter";

std::vector<ExchangeTraffic> legs(const ExchangeShape& shape,
                                  const RoutedCopies& routed,
                                  double row,
                                  bool transposed) {
  const RailLegs legs = rail_legs_of_all(kName, shape, routed);
  ExchangeTraffic traffic;
  traffic.legs = {{legs.rail, row, transposed}, {legs.local, row, transposed}};
  traffic.messages_per_peer = 1;  // as a ring has
  return {traffic};
}

std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  return legs(shape, *routed, row_bytes(shape.hidden, shape.dispatch), false);
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  return legs(shape, *routed, row_bytes(shape.hidden, shape.combine), true);
}

// All tokens of the group as they come in, and the experts' output for all of them.
Bytes buffer_bytes(const ExchangeShape& shape) {
  const double rows = static_cast<double>(shape.ranks) * shape.max_tokens_per_rank;
  return Bytes(rows *
               (row_bytes(shape.hidden, shape.dispatch) + row_bytes(shape.hidden, shape.combine)));
}

const Registered<AllToAllPart> registered{
    kName,
    "all-gather of all tokens, reduce-scatter of partial sums: bytes know no skew",
    {dispatch, combine, buffer_bytes}};

}  // namespace
}  // namespace moesim
