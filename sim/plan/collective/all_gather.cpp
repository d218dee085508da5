// all_gather: every rank's rows to all others of its group, (n - 1)/n S received of a buffer of S.
// Across nodes a row crosses a rail once a node and is passed on inside it.
#include "sim/plan/collective/gather_legs.h"

namespace moesim {
namespace {

ExchangeTraffic traffic(const CollectiveShape& shape) { return gather_traffic(shape, false); }

const Registered<CollectivePart> registered{"all_gather",
                                            "every rank's rows to all others: (n - 1)/n S a rank",
                                            {traffic, "nccl_tensor_parallel", "all_gather"}};

}  // namespace
}  // namespace moesim
