// PointResult: what one point of a study found, to and from JSON. Analysis reads these and nothing
// else.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/metric.h"

namespace moesim {

inline constexpr int kResultSchemaVersion = 3;

struct NamedMetric {
  std::string name;         // "step_time", "dispatch", "combine", "compute", "balancedness",
                            // "memory_headroom", "tokens_per_second_per_gpu"
  std::string description;  // one line for a table's tool tip
  Metric metric;
};

struct LayerResult {  // one layer, mean over the steps
  int layer = 0;
  bool moe = false;
  double attention = 0, dispatch = 0, expert_ffn = 0, combine = 0,
         other = 0;         // seconds on the critical path
  double balancedness = 1;  // mean / max of token copies over ranks
  int straggler = -1;       // the rank with most token copies
};

struct RankResult {                            // sums over one step, mean over the steps
  double compute = 0, exchange = 0, wait = 0;  // seconds; they sum to the step time
  double hidden = 0;              // s of exchanges while kernels ran, in compute already
  double sent = 0, received = 0;  // bytes over links
  std::uint64_t copies = 0;       // token copies computed
};

struct WaitResult {  // of one layer's exchanges (-1: the step's end), mean over ranks and steps
  int layer = -1;
  std::vector<double> by_cause;  // s, as PointResult::wait_causes; all of them sum to the wait
};

struct MemoryResult {
  double capacity = 0;                       // bytes
  std::vector<std::string> kinds;            // names, filling order
  std::vector<std::vector<double>> by_rank;  // [rank][kind] bytes
  bool fits = true;
  int worst_rank = 0;
  double headroom = 0;
  std::string verdict;
};

struct LinkResult {  // the busiest links of the step
  std::string name, tier;
  double bytes = 0;        // per step
  double utilisation = 0;  // bytes / (bandwidth x step time)
  double busy_share = 0;   // bytes / (bandwidth x time spent in exchanges)
};

struct PoolPace {  // of the steps that a pool finished between two faults
  // 0: none, and the rest is 0 too, or of a step of the healthy pool made for comparison.
  int steps = 0;
  double step_time = 0;   // seconds, mean
  double throughput = 0;  // new tokens of the whole pool a second
};

struct FaultResult {       // in the order in which they take effect
  std::string fault;       // "nic_lost rank 3"
  double at = 0;           // seconds since the first step began
  int step = -1;           // finished steps before it took effect; -1 = the steps ended earlier
  double lost = 0;         // seconds of a step that it interrupted
  double recovery = 0;     // seconds the pool then stood still
  double reloaded = 0;     // bytes of experts, from host memory
  PoolPace before, after;  // up to the fault before and the one after; no tokens during recovery
  double remaining = 0;    // throughput after / throughput without any fault
  std::string memory;      // of the survivors of a lost rank: the ledger's verdict
};

struct BottleneckResult {  // of one exchange of a step: its longest busy link, mean over the steps
  int layer = -1;
  std::string kind;        // "dispatch", "combine", "tensor_reduce", "tensor_gather"
  std::string link, tier;  // empty when no link carries anything
  double bytes = 0;        // on that link
  double busy = 0;         // s, bytes / (bandwidth x reached share)
  double finish = 0;       // s from when all ranks had started to when the link had drained
  double utilisation = 0;  // bytes / (bandwidth x the exchange's time)
  int rank = -1;           // whose port it is, or into which most of its bytes go; -1: none
  int expert = -1;         // that draws most there; -1: it is not experts that draw
  double ratio = 0;        // its token copies over the mean expert's
  std::string words;       // "ingress of rank 37: expert 181 draws 6.1x the mean"
};

struct LinkUse {                    // links alike, of neighbouring ranks
  std::string name;                 // "NIC in, ranks 8-15"
  std::vector<double> utilisation;  // by exchange, as in bottlenecks: of the busiest of the links
};

struct FidelityResult {  // what a fidelity was used for, and what it costs
  std::string fidelity;
  int exchanges = 0;    // of a step, replayed with it
  std::string against;  // the finer fidelity that sampled exchanges were replayed with; "": none
  int sampled = 0;
  double error = 0;   // largest over the samples: makespan over the finer one's, less 1
  std::string words;  // a sentence
};

struct RebalanceResult {                 // of one, before a window
  int window = 0, steps = 0;             // steps over which its chunks move
  double replicas = 0, moved_bytes = 0;  // in all layers of the model
  double migration = 0;                  // s that these steps take longer
  double host = 0;                       // s of the host, as the policy says
  double before = 0, after = 0;  // s, mean step of the window with the plan before and with its own
};

struct WindowResult {    // of one part of the trace, mean over its steps
  double step_time = 0;  // s, the sum of the four parts
  double dispatch = 0, expert_ffn = 0, combine = 0, other = 0;  // s on the critical path
  std::vector<double> balancedness;  // by trace MoE layer: mean / max of token copies over ranks
  double ranks_per_token = 0, nodes_per_token = 0;         // distinct ones, mean over MoE layers
  std::vector<std::pair<std::string, double>> tier_bytes;  // of a step: "NVLink" -> B
};

struct CheckResult {
  std::string law;  // one sentence with counts
  bool passed = true;
};

struct PointResult {
  int schema_version = kResultSchemaVersion;
  std::string key;    // hash of everything it depends on
  std::string label;  // "eplb": the varied values, joined
  std::vector<std::pair<std::string, std::string>> varied;
  std::string scenario_name, model, routed_by, cluster, fidelity, phase;
  int ranks = 0, ranks_per_node = 8, steps = 1;
  int group_ranks = 0;  // of an EP group
  std::uint64_t seed = 0;
  // The objective that the user has: a metric and the most it may be, s; "": none.
  std::pair<std::string, double> slo;
  bool ran = true;  // false: the plan does not fit memory; only memory and notes are filled

  std::vector<NamedMetric> metrics;
  std::vector<std::pair<std::string, double>>
      breakdown;  // seconds of the step by kind on the critical path, sums to step_time
  std::vector<LayerResult> layers;
  std::vector<RankResult> ranks_detail;
  std::vector<std::string> wait_causes;
  std::vector<WaitResult> waits;
  int straggler = -1;  // the rank the others wait for most
  std::string
      straggler_cause;  // a sentence: "expert FFN: expert 17 of layer 5 draws 4.1x the mean"
  std::vector<std::vector<std::uint64_t>>
      expert_load;                      // [trace moe layer][logical expert] token copies replayed
  std::vector<int> expert_load_layers;  // layer ids of the rows
  MemoryResult memory;
  std::vector<LinkResult> links;  // falling utilisation, at most 32
  std::vector<FaultResult> faults;
  std::vector<BottleneckResult> bottlenecks;  // every exchange of a step, in order
  std::vector<LinkUse> link_use;
  std::vector<FidelityResult> fidelities;
  // Of a workload with windows: each of them, in order; and what the plan is: by trace MoE layer
  // the logical expert of every slot (-1: none), and the bytes of one slot in all model layers that
  // replay it.
  std::vector<WindowResult> windows;
  std::vector<RebalanceResult> rebalances;
  std::vector<std::vector<int>> placement;
  std::vector<double> slot_bytes;
  double planning_seconds = 0;  // wall time, so it is not stored
  std::vector<CheckResult> checks;
  std::vector<std::string> notes;  // stand-ins, assumptions, what is unproven on hardware
  std::vector<std::pair<std::string, std::string>>
      inputs;  // "trace" -> sha256, ... ; "version" -> program version
};

// The bottleneck that is busy longest; null when nothing is exchanged.
const BottleneckResult* worst_bottleneck(const PointResult& result);
const Metric* find_metric(const PointResult& result, const std::string& name);
Basis weakest_basis(const PointResult& result);  // over all metrics
// Whether it ran and its metric is within the objective; true without one.
bool meets_slo(const PointResult& result);

nlohmann::json to_json(const PointResult& result);
PointResult point_result_from_json(
    const nlohmann::json& json);  // InputError when a key is missing or of another type

// result.json: the study's name and its points, whole, in study order.
struct StudyResult {
  std::string name, file;
  std::vector<PointResult> points;
};
nlohmann::json to_json(const StudyResult& study);
StudyResult study_result_from_json(const nlohmann::json& json);

}  // namespace moesim
