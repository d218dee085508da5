// Contract of an all-to-all algorithm: one .cpp in sim/plan/all_to_all/ that turns routed token
// copies into bytes from rank to rank, messages and buffers, and registers an AllToAllPart.
// Formulas: docs/models.md, "All-to-all".
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/core/catalog.h"
#include "sim/core/metric.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// Token copies of one MoE layer counted once and shared by dispatch and combine: copies[source *
// ranks + destination], token copies (token, expert) that the ranks send; the diagonal stays on the
// rank.
struct RoutedCopies {
  int ranks = 0;
  std::vector<std::uint32_t> copies;               // [source][destination]
  std::vector<std::uint32_t> per_physical_expert;  // token copies by slot, EP group after EP group
};

struct ExchangeShape {
  std::int64_t hidden = 0;
  int ranks = 1, ranks_per_node = 8;
  int physical_experts = 0;  // E, of one EP group
  int top_k = 0;
  int max_tokens_per_rank = 128;  // M, what the buffers are allocated for
  PayloadFormat dispatch{}, combine{};
};

// Bytes between ranks. The combine of both algorithms so far sends back along the same pairs: its
// matrix is the transpose of copies times the combine row.
struct ExchangeTraffic {
  double bytes_per_copy = 0;     // row bytes of one token copy, headers and scales included
  bool transposed = false;       // true: rank j sends to i what `copies` counts from i to j
  double messages_per_copy = 0;  // messages a rank issues for each copy it sends to another rank
  double messages_per_peer = 0;  // and for each other rank, whatever it sends
};

// Bytes of one row of `hidden` values: bf16 2 h, fp8 h + 4 a started block of 128.
double row_bytes(std::int64_t hidden, PayloadFormat format);

// Constants of the time model t = fixed + per_expert x experts + path latency + max(messages x
// per_message, transfer / efficiency) (docs/models.md, "All-to-all"), by reach.
struct ExchangeTiming {
  Seconds fixed{};        // launch, notify, synchronisation
  Seconds per_expert{};   // kernel work for each physical expert of the EP group
  Seconds per_message{};  // issue time of one message
  double efficiency = 1;  // reached share of line rate, 0..1
  Basis basis = Basis::datasheet;
  std::string source;
};

struct AllToAllPart {
  std::function<ExchangeTraffic(const ExchangeShape&)> dispatch, combine;
  std::function<Bytes(const ExchangeShape&)> buffer_bytes;  // per rank, as the algorithm allocates
};

// Constants of `algorithm` ("deepep_low_latency"; direction "dispatch" or "combine") or of
// "nccl_tensor_parallel" (direction "reduce_scatter" or "all_gather"), for exchanges that stay in
// one node (`within_node`) or cross nodes; from topologies/calibration/all_to_all.json. On an
// accelerator they were not measured on they are `transferred`. InputError where the file has no
// such entry.
ExchangeTiming exchange_timing(const std::string& algorithm,
                               const std::string& direction,
                               bool within_node,
                               const std::string& accelerator);

}  // namespace moesim
