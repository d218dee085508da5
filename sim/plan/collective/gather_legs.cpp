// Over rails where the groups have them, straight from rank to rank elsewhere.
#include "sim/plan/collective/gather_legs.h"

#include "sim/plan/all_to_all/rail_legs.h"

namespace moesim {

std::shared_ptr<const RowCounts> rows_to_all(const CollectiveShape& shape) {
  RowCounts counts;
  std::vector<std::uint32_t> row(shape.ranks());
  for (std::size_t source = 0; source < shape.ranks(); ++source) {
    const std::size_t first = source / shape.group() * shape.group();
    for (std::size_t rank = first; rank < first + shape.group(); ++rank)
      row[rank] = shape.rows[source];
    counts.add_source(row);
  }
  return std::make_shared<RowCounts>(std::move(counts));
}

ExchangeTraffic gather_traffic(const CollectiveShape& shape, bool transposed) {
  ExchangeTraffic traffic;
  traffic.messages_per_peer = 1;
  if (has_rails(shape)) {
    const RailLegs legs = rail_legs_of_all(shape.group_ranks, shape.ranks_per_node, shape.rows);
    traffic.legs = {{legs.rail, shape.row_bytes, transposed},
                    {legs.local, shape.row_bytes, transposed}};
  } else {
    traffic.legs = {{rows_to_all(shape), shape.row_bytes, transposed}};
  }
  return traffic;
}

}  // namespace moesim
