// allreduce_in_network: switches add and copy (NVLink SHARP). A rank pulls its share of the sum out
// of the switches, S from its memory and S/n back, and multicasts it, S/n out and S in: S (1 + 1/n)
// each way a rank (nccl-tests, doc/PERFORMANCE.md, in-network reduction).
#include "sim/plan/collective.h"

namespace moesim {
namespace {

// No row goes from rank to rank, since the switch adds and copies; the legs load every port as the
// collective does, in equal parts to and from all others.
ExchangeTraffic traffic(const CollectiveShape& shape) {
  const double n = shape.group_ranks;
  const std::vector<std::uint32_t> sums = rows_of_groups(shape);
  RowCounts counts;
  std::vector<std::uint32_t> row(shape.ranks());
  for (std::size_t source = 0; source < shape.ranks(); ++source) {
    const std::size_t first = source / shape.group() * shape.group();
    for (std::size_t rank = first; rank < first + shape.group(); ++rank)
      if (rank != source) row[rank] = sums[source];
    counts.add_source(row);
  }
  ExchangeTraffic traffic;
  traffic.legs = {{std::make_shared<RowCounts>(std::move(counts)),
                   n > 1 ? shape.row_bytes * (1 + 1 / n) / (n - 1) : 0}};
  traffic.messages_per_peer = 2;  // NCCL sums small buffers round a ring: 2 (n - 1) messages
  return traffic;
}

const Registered<CollectivePart> registered{"allreduce_in_network",
                                            "switches add and copy: S (1 + 1/n) each way a rank",
                                            {traffic, "nccl_allreduce", "allreduce"}};

}  // namespace
}  // namespace moesim
