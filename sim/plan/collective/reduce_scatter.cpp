// reduce_scatter: partial sums of every rank's rows from all others, the way of all_gather
// backwards.
#include "sim/plan/collective/gather_legs.h"

namespace moesim {
namespace {

ExchangeTraffic traffic(const CollectiveShape& shape) { return gather_traffic(shape, true); }

const Registered<CollectivePart> registered{
    "reduce_scatter",
    "partial sums of every rank's rows from all others: (n - 1)/n S a rank",
    {traffic, "nccl_tensor_parallel", "reduce_scatter"}};

}  // namespace
}  // namespace moesim
