// deepep_normal: DeepEP's high-throughput mode. Inside a node one row per distinct destination rank
// of a token; across nodes one RDMA row per distinct destination node, over the rail, whose GPU
// forwards it over NVLink; combine takes the same ways back, the rail's GPU adding its node's part.
#include <algorithm>
#include <cmath>

#include "sim/plan/all_to_all/rail_legs.h"

namespace moesim {
namespace {

constexpr const char* kName = "deepep_normal";

double align16(double bytes) { return 16 * std::ceil(bytes / 16); }

// RDMA rows carry 8 bytes of where the row comes from, its scales with it, and for each choice 4
// bytes of weight; dispatch adds 4 bytes of expert each (DeepEP, csrc/kernels/internode.cu). At
// hidden 7168, k 8: dispatch 7472 B in fp8, 14416 B in bf16.
double rail_row(const ExchangeShape& shape, PayloadFormat format, double bytes_per_choice) {
  return align16(row_bytes(shape.hidden, format) + 8 + bytes_per_choice * shape.top_k);
}

std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  const RailLegs legs = rail_legs(kName, shape, *routed);
  ExchangeTraffic traffic;
  traffic.legs = {{legs.rail, rail_row(shape, shape.dispatch, 8)},
                  {legs.local, row_bytes(shape.hidden, shape.dispatch)}};
  traffic.tokens = routed->tokens;
  traffic.token_bytes = row_bytes(shape.hidden, shape.dispatch);
  return {traffic};
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  const RailLegs legs = rail_legs(kName, shape, *routed);
  ExchangeTraffic traffic;
  traffic.legs = {{legs.rail, rail_row(shape, shape.combine, 4), true},
                  {legs.local, row_bytes(shape.hidden, shape.combine), true}};
  traffic.tokens = routed->tokens;
  traffic.token_bytes = row_bytes(shape.hidden, shape.combine);
  return {traffic};
}

// DeepEP's benchmark (tests/test_intranode.py, test_internode.py).
constexpr int kDefaultSms = 24;

// Queues of fixed length for every channel and peer: DeepEP's default configurations hold 256 rows
// a channel over NVLink and 128 over RDMA, a channel for two SMs, twice for sending and receiving.
// Rows at their largest, bf16. (csrc/config.hpp, deep_ep/buffer.py get_dispatch_config)
Bytes buffer_bytes(const ExchangeShape& shape) {
  constexpr double kNvlinkRows = 256, kRdmaRows = 128;
  const double channels = std::ceil(shape.sms / 2.0);
  const double nodes = std::ceil(static_cast<double>(shape.ranks) / shape.ranks_per_node);
  const double peers = std::min(shape.ranks, shape.ranks_per_node);
  const double row = rail_row(shape, PayloadFormat::bf16, 8);
  const double rdma = nodes > 1 ? 2 * channels * kRdmaRows * nodes * row : 0;
  return Bytes(channels * kNvlinkRows * peers * row + rdma);
}

const Registered<AllToAllPart> registered{
    kName,
    "DeepEP normal: a row per destination rank, across nodes a row per node over the rail",
    {dispatch, combine, buffer_bytes, true, kDefaultSms}};

}  // namespace
}  // namespace moesim
