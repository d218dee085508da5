// all_to_all: from every rank an equal piece to each other, (n - 1)/n S of a buffer of S a rank.
#include "sim/plan/collective/gather_legs.h"

namespace moesim {
namespace {

ExchangeTraffic traffic(const CollectiveShape& shape) {
  ExchangeTraffic traffic;
  traffic.legs = {{rows_to_all(shape), shape.row_bytes}};
  traffic.messages_per_peer = 1;
  return traffic;
}

// Combine's constants: dispatch's have an all-gather of counts in them.
const Registered<CollectivePart> registered{"all_to_all",
                                            "an equal piece to each other rank: (n - 1)/n S a rank",
                                            {traffic, "nccl_pairwise", "combine"}};

}  // namespace
}  // namespace moesim
