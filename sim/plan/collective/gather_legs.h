// The legs of all_gather, and backwards of reduce_scatter; rows between all pairs of a group.
#pragma once

#include "sim/plan/collective.h"

namespace moesim {

// From every rank its rows to each rank of its group, itself included.
std::shared_ptr<const RowCounts> rows_to_all(const CollectiveShape& shape);

// n - 1 messages, as a ring of n ranks has.
ExchangeTraffic gather_traffic(const CollectiveShape& shape, bool transposed);

}  // namespace moesim
