// Scenario: one experiment as a checked value, and the study its axes span.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster/fault.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"
#include "sim/replay/replay.h"
#include "sim/scenario/price.h"
#include "sim/scenario/readable_files.h"

namespace moesim {

// A trace to be drawn by the synthesizer (workloads/traces/synth.h), with the scenario's model's
// shape.
struct SyntheticSource {
  std::string profile;  // a shipped profile's name, or a profile's path; empty = nothing to draw
  std::int64_t tokens = 65536;
  struct Mix {
    double at = 0;  // share of the tokens before this moment
    std::vector<std::pair<std::string, double>> shares;

    bool operator==(const Mix&) const = default;
  };
  std::vector<Mix> mixes;  // of domains; empty = the profile's
  int prompt_tokens = 256, answer_tokens = 256;
  std::uint64_t seed = 1;
  std::string model;  // name in the trace's header
  int experts = 0, top_k = 0, groups = 1, kept_groups = 1;
  std::vector<int> layer_ids;

  bool operator==(const SyntheticSource&) const = default;
};

// Where the routing comes from: a trace file, a forward pass of a model folder over texts, or the
// synthesizer.
struct TraceSource {
  std::string file;           // a trace to replay as it is
  std::string forward_model;  // folder with config.json and weights; "reference" = the shipped one
  std::string forward_texts;  // folder of <domain>.txt, or one file
  int tokens_per_domain = 0;  // 0 = all
  int chunk_tokens = 256;     // tokens of one traced request
  // As TraceRequest (workloads/forward/trace_forward.h) has them.
  int prefill_chunk_tokens = 0, batch = 1, decode_tokens = 0, generate_tokens = 0;
  double temperature = 0;  // of generated tokens; 0 = greedy
  std::uint64_t sampling_seed = 1;
  SyntheticSource synthetic;

  bool operator==(const TraceSource&) const = default;
};

// When a workload's windows begin with a new placement, and what that costs.
struct RebalancePolicy {
  int every = 1;  // windows
  double threshold =
      0;  // only where a rank's largest over mean load in the window before reaches it
  int load_windows = 1;      // that a placement is planned on: the ones before
  Seconds host_time{};       // of the host for one rebalance, while no step runs
  int layers_per_chunk = 0;  // MoE layers of the trace that move in one step; 0 = all
};

// A service-level objective: the metric it bounds.
struct ServiceLevel {
  std::string metric;
  Seconds most{};  // 0: no objective
};

struct Scenario {
  std::string file, name;
  std::string
      model;  // whose shapes cost the kernels, bytes and memory ("shapes_from", else "model")
  std::string routed_by;  // the model whose routing is replayed, for the summary
  bool repeat_trace_layers =
      false;  // shapes_from was given: model layers may outnumber the traced ones
  ClusterSpec cluster;
  TraceSource trace;
  WorkloadSpec workload;
  ShardingPlan plan;               // placement still empty: place_experts fills it
  std::string placement_file;      // instead of plan.placement_strategy; empty = none
  std::string previous_placement;  // file of what the strategy finds in place; empty = nothing
  std::optional<RebalancePolicy> rebalance;  // nullopt = never
  std::vector<Fault> faults;                 // in the order in which they take effect
  std::optional<Fidelity> fidelity;          // nullopt = auto
  ServiceLevel slo;
  Price price;
  std::uint64_t seed = 1;
};

// One combination of the study's axes: ("plan.placement", "eplb") pairs, and the scenario that
// results.
struct StudyPoint {
  std::vector<std::pair<std::string, std::string>> varied;
  Scenario scenario;
  std::string
      canonical_json;  // the point's scenario after overrides, sorted keys: hashed into its key
};

struct Study {
  std::string file, name;
  // Of the points in the file's study, where they are not all of it, in order.
  std::vector<std::size_t> numbers;
  std::vector<StudyPoint> points;  // at least one; cross product of the axes (study_axes.h)
};

// Reads, overrides (`key=value`, value as JSON or a bare word) and checks a scenario file.
// InputError with file, line, column and key for every mistake, and for a file it names that lies
// `outside` of what it may read (readable_files.h).
Study load_study(const std::string& path,
                 const std::vector<std::string>& overrides,
                 Outside outside = Outside::refused);

}  // namespace moesim
