// Contract of an all-to-all algorithm: one .cpp in sim/plan/all_to_all/ that turns what the routing
// asks for into legs (rows from rank to rank), messages and buffers, and registers an AllToAllPart.
// Formulas: docs/models.md, "All-to-all".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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
  // By rank: its own tokens, that it copies in its memory before it sends and that its SMs read or
  // sum, token_bytes each; empty = no such work.
  std::vector<std::uint32_t> tokens;
  double token_bytes = 0;
};

// Bytes of one row of `hidden` values: bf16 2 h, fp8 h + 4 a started block of 128, mxfp8 h + 1 a
// started block of 32, nvfp4 h / 2 + 1 a started block of 16, mxfp4 h / 2 + 1 a started block
// of 32.
double row_bytes(std::int64_t hidden, PayloadFormat format);

// Constants of the time model t = fixed + per_expert x experts + path latency + own tokens x
// (per_token + token bytes / copy_rate) + max(messages x per_message, SM time, transfer), by reach.
// transfer = bytes / (bandwidth x efficiency) of the busiest link; SM time = (row bytes +
// sm_row_overhead) of the rows a rank sends or receives, whichever are more, of those it keeps and
// twice of its own tokens, over sm_rate x sm_speed (docs/models.md,
// "All-to-all").
struct ExchangeTiming {
  // Launch and synchronisation, and what the protocol reaches of line rate, 0..1.
  struct Protocol {
    Seconds fixed{};
    double nvlink_efficiency = 1, nic_efficiency = 1;
  };
  Protocol protocol;
  std::optional<Protocol> second;  // taken by the exchanges that it makes faster, as NCCL does
  Seconds per_expert{};            // kernel work for each physical expert of the EP group
  Seconds per_message{};           // issue time of one message
  Seconds per_token{};             // of a rank's own, before anything moves
  BytesPerSecond sm_rate{};        // 0 = the SMs never limit
  Bytes sm_row_overhead{};
  BytesPerSecond copy_rate{};  // 0 = copies in a rank's own memory are not counted apart
  double slowdown = 1;         // times as long while the rank's kernels run beside it
  Seconds api_overhead{};  // what timing the library call adds to its kernels; no exchange pays it
  Basis basis = Basis::datasheet;
  std::string source;
};

// How the speed of SM-bound rows grows with SMs: the B200's at 4 to 24 of them
// (ai-dynamo/aiconfigurator, wideep_deepep_normal_perf).
inline constexpr double kSmExponent = 0.89;

// Speed of `sms` SMs over that of the `measured` ones that an algorithm's constants stand for; 1
// where either is 0, of an algorithm that holds none.
double sm_speed(int sms, int measured);

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

// InputError where the algorithm does not take exchanges of this shape: it says so when asked for
// the traffic of nobody.
void check_shape(const AllToAllPart& part, const ExchangeShape& shape);

// The same for both algorithms of a plan; ranks_per_node are those of an NVLink domain.
void check_exchanges(const ShardingPlan& plan, int ranks_per_node);

// Which constants: of `algorithm` ("deepep_low_latency"; direction "dispatch" or "combine") or of
// "nccl_tensor_parallel" (direction "reduce_scatter" or "all_gather"), for exchanges that stay in
// one node or cross nodes.
struct TimingQuery {
  std::string algorithm, direction;
  bool within_node = true;
  std::string accelerator;
  bool cpu_proxy = false;        // a host thread posts what crosses nodes, not the GPU itself
  std::string calibration = {};  // a file whose constants come first; empty = the project's alone
  bool with_prepare = true;      // as steps pay it; benchmarks time a dispatch without
};

// With direction "dispatch" and with_prepare also what the algorithm's entry "prepare" adds, where
// it has one: counting who gets how much, telling them, and the host's wait for the answer. From
// query.calibration where it has the entry, else from topologies/calibration/all_to_all.json.
// On an accelerator they were not measured on they are `transferred`. InputError where neither file
// has such an entry.
ExchangeTiming exchange_timing(const TimingQuery& query);

// Reads every entry of a file of such constants. InputError with file, line and key.
void check_calibration(const std::string& path);

}  // namespace moesim
