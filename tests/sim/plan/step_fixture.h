// A small cluster, trace, plan and batch for the tests of the step graph, all from a seed.
#pragma once

#include <algorithm>

#include "sim/core/random.h"
#include "sim/plan/fabric_paths.h"
#include "sim/plan/routed_copies.h"
#include "sim/plan/step_graph.h"

namespace moesim::test {

struct StepCase {
  int nodes = 2, experts = 32, top_k = 4, layers = 5, redundant = 16;
  int expert_parallel = 16, tensor = 1, tokens = 24;
  ReplicaChoice choice = ReplicaChoice::even;
  std::uint64_t seed = 1;
  int pipeline = 1;
};

inline Cluster make_cluster(int nodes) {
  ClusterSpec spec = load_cluster_preset("h800-ib");
  spec.options.nodes = nodes;
  return build_cluster(spec);
}

// Random distinct choices, low experts more often; one choice in twenty is dropped.
inline RoutingTrace make_random_trace(const StepCase& c, std::size_t rows) {
  TraceColumns columns;
  columns.header = {1, "test", c.experts, c.top_k, {}, "synthetic", c.seed, {"all"}, ""};
  for (int layer = 0; layer < c.layers; ++layer) columns.header.layer_ids.push_back(layer);
  Random random(c.seed);
  const auto experts = static_cast<std::uint64_t>(c.experts);
  for (std::size_t row = 0; row < rows; ++row) {
    for (int layer = 0; layer < c.layers; ++layer) {
      std::vector<std::uint16_t> chosen;
      while (chosen.size() < static_cast<std::size_t>(c.top_k)) {
        const auto expert =
            static_cast<std::uint16_t>(std::min(random.below(experts), random.below(experts)));
        if (std::find(chosen.begin(), chosen.end(), expert) == chosen.end())
          chosen.push_back(expert);
      }
      for (const std::uint16_t expert : chosen)
        columns.experts.push_back(random.below(20) == 0 ? kNotRouted : expert);
    }
    columns.request.push_back(static_cast<std::int32_t>(row));
    columns.position.push_back(0);
    columns.step.push_back(0);
    columns.domain.push_back(0);
    columns.phase.push_back(1);
  }
  return make_trace(std::move(columns));
}

// Every layer: slots dealt to ranks in order, slot p of layer l holds expert (7 p + l) % experts.
inline std::vector<Placement> make_placement(const StepCase& c) {
  const int slots = c.experts + c.redundant;
  std::vector<Placement> layers;
  for (int layer = 0; layer < c.layers; ++layer) {
    Placement placement;
    for (int slot = 0; slot < slots; ++slot) {
      placement.replica_of.push_back(LogicalExpert{(7 * slot + layer) % c.experts});
      placement.rank_of.push_back(Rank{slot * c.expert_parallel / slots});
    }
    layers.push_back(placement);
  }
  return layers;
}

struct StepWorld {
  Cluster cluster;
  ShardingPlan plan;
  RoutingTrace trace;
  Batch batch;
  MoeModel model = load_model("gpt-oss-20b");

  explicit StepWorld(const StepCase& c) : cluster(make_cluster(c.nodes)) {
    plan.parallelism = {cluster.ranks(), c.expert_parallel, c.tensor, c.pipeline};
    plan.redundant_experts = c.redundant;
    plan.placement = make_placement(c);
    plan.replica_choice = c.choice;
    const auto groups = static_cast<std::size_t>(plan.parallelism.data());
    trace = make_random_trace(c, groups * static_cast<std::size_t>(c.tokens));
    std::uint32_t row = 0;
    for (std::size_t group = 0; group < groups; ++group) {
      // Unequal ranks: the last tokens are missing from every third DP rank.
      const int tokens = c.tokens - static_cast<int>(group % 3);
      batch.by_rank.emplace_back(tokens, BatchEntry{static_cast<int>(group), Phase::decode, 1, 64});
      batch.rows.emplace_back();
      for (int token = 0; token < tokens; ++token) batch.rows.back().push_back(row++);
    }
  }
  RoutingInputs routing() const {
    return {trace, batch, plan, static_cast<std::size_t>(cluster.fabric.ranks_per_node)};
  }
  StepGraph build(int threads = 2, bool keep_flows = false, bool keep_shares = false) const {
    const RankCosts costs(model, cluster, plan.parallelism, plan.precision);
    return build_step(
        {model, cluster, plan, trace, costs, keep_flows, threads, nullptr, keep_shares}, batch);
  }
};

}  // namespace moesim::test
