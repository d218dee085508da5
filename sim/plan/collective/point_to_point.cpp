// point_to_point: every rank its rows to the next of its group, the last to the first (sendrecv of
// nccl-tests; in a group of two, a send and a receive).
#include "sim/plan/collective.h"

namespace moesim {
namespace {

ExchangeTraffic traffic(const CollectiveShape& shape) {
  RowCounts counts;
  std::vector<std::uint32_t> row(shape.ranks());
  for (std::size_t source = 0; source < shape.ranks(); ++source) {
    const std::size_t first = source / shape.group() * shape.group();
    row[first + (source - first + 1) % shape.group()] = shape.rows[source];
    counts.add_source(row);
  }
  ExchangeTraffic traffic;
  traffic.legs = {{std::make_shared<RowCounts>(std::move(counts)), shape.row_bytes}};
  if (shape.group_ranks > 1) traffic.messages_per_peer = 1.0 / (shape.group_ranks - 1);
  return traffic;
}

const Registered<CollectivePart> registered{"point_to_point",
                                            "every rank its rows to the next of its group",
                                            {traffic, "point_to_point", "send"}};

}  // namespace
}  // namespace moesim
