// allreduce_ring: a reduce-scatter and an all-gather round a ring, 2 (n - 1)/n S past every joint
// (Patarasuk and Yuan, JPDC 69(2), 2009).
#include "sim/plan/collective.h"

namespace moesim {
namespace {

ExchangeTraffic traffic(const CollectiveShape& shape) {
  ExchangeTraffic traffic;
  traffic.legs = ring_legs(shape, 2.0 * (shape.group_ranks - 1) / shape.group_ranks);
  traffic.messages_per_peer = 2;  // 2 (n - 1) in all
  return traffic;
}

const Registered<CollectivePart> registered{
    "allreduce_ring",
    "sums round a ring, then results: 2 (n - 1)/n S past every joint",
    {traffic, "nccl_allreduce", "ring"}};

}  // namespace
}  // namespace moesim
