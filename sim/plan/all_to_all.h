// Contract of an all-to-all algorithm: one .cpp in sim/plan/all_to_all/ that turns what the routing
// asks for into legs (rows from rank to rank), messages and buffers, and registers an AllToAllPart.
// Formulas: docs/models.md, "All-to-all".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/core/metric.h"
#include "sim/core/units.h"
#include "sim/plan/row_counts.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// What the routing of one MoE layer asks for, counted once and shared by dispatch and combine.
struct RoutedCopies {
  int ranks = 0;
  RowCounts copies;  // token copies (token, expert) from rank to rank
  // Distinct tokens of a source by destination rank, and by node; empty unless an algorithm that
  // needs_tokens asked for them.
  RowCounts rank_tokens, node_tokens;
  std::vector<std::uint32_t> tokens;               // by source: tokens it brings, routed or not
  std::vector<std::uint32_t> per_physical_expert;  // copies by slot, EP group after EP group
  // By EP group: the most copies that one of its ranks has for one of its physical experts.
  std::vector<std::uint32_t> most_for_expert;
};

struct ExchangeShape {
  std::int64_t hidden = 0;
  int ranks = 1, ranks_per_node = 8;  // of one EP group; of an NVLink domain
  int physical_experts = 0;           // E, of one EP group
  int top_k = 0;
  int max_tokens_per_rank = 128;  // M, what the buffers are allocated for
  PayloadFormat dispatch{}, combine{};
  int sms = 0;  // held by the algorithm's kernels; 0 = it holds none, or their number is not known
  // Of algorithms that pad: places kept for a rank's copies to an expert, as a multiple of the even
  // share k T / E; 0 = as many as the fullest needs.
  double capacity_factor = 0;
};

// Rows of one size that move from rank to rank at the same time as the other legs' of the exchange.
struct Leg {
  std::shared_ptr<const RowCounts> rows;
  double row_bytes = 0;     // headers and scales included
  bool transposed = false;  // true: rank j sends to i what `rows` counts from i to j
};

// One exchange. An algorithm whose stages wait for each other gives one exchange a stage.
struct ExchangeTraffic {
  std::vector<Leg> legs;
  double messages_per_row = 0;   // messages a rank issues for each row it sends to another rank
  double messages_per_peer = 0;  // and for each other rank, whatever it sends
  Bytes copied;  // copied by every rank in its own memory before it sends: read once, written once
  // The first leg's rows are token copies, one each: then what experts compute is what it moves.
  bool row_per_copy = false;
};

// Bytes of one row of `hidden` values: bf16 2 h, fp8 h + 4 a started block of 128, nvfp4 h / 2 + 1
// a started block of 16.
double row_bytes(std::int64_t hidden, PayloadFormat format);

// Constants of the time model t = fixed + per_expert x experts + path latency + max(messages x
// per_message, transfer) with transfer = bytes / (bandwidth x efficiency) of the busiest link
// (docs/models.md, "All-to-all"), by reach.
struct ExchangeTiming {
  Seconds fixed{};        // launch, notify, synchronisation
  Seconds per_expert{};   // kernel work for each physical expert of the EP group
  Seconds per_message{};  // issue time of one message
  double nvlink_efficiency = 1, nic_efficiency = 1;  // reached share of line rate, 0..1
  Basis basis = Basis::datasheet;
  std::string source;
};

struct AllToAllPart {
  // Stages in order, most have one. The legs may share `routed`'s counts, which live as long as
  // they do.
  using Traffic = std::function<std::vector<ExchangeTraffic>(
      const ExchangeShape&, const std::shared_ptr<const RoutedCopies>& routed)>;
  Traffic dispatch, combine;
  std::function<Bytes(const ExchangeShape&)> buffer_bytes;  // per rank, as the algorithm allocates
  bool needs_tokens = false;                                // reads rank_tokens and node_tokens
  // SMs its kernels hold unless the plan says otherwise, and those its constants were measured at;
  // 0 = it holds none or nobody says how many, and the plan's number does not concern it.
  int default_sms = 0;
};

// A leg of one of routed's counts: leg_of(routed, routed->copies, bytes).
Leg leg_of(const std::shared_ptr<const RoutedCopies>& routed,
           const RowCounts& rows,
           double row_bytes,
           bool transposed = false);

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
