// build_step of the size in docs/performance.md: 61 layers (58 MoE) of DeepSeek-V3 on 320 ranks,
// 64 redundant experts, 128 tokens a rank. The trace comes from bench_make_trace:
//   bench_make_trace /tmp/trace.safetensors 40960 58 256 8 0.5 1
//   MOESIM_BENCH_TRACE=/tmp/trace.safetensors bench_step_graph
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <numeric>

#include "sim/plan/fabric_paths.h"
#include "sim/plan/moe_layers.h"
#include "sim/plan/placement.h"

namespace {

using namespace moesim;

constexpr int kRanks = 320, kTokens = 128, kRedundant = 64;

Cluster make_cluster() {
  ClusterSpec spec = load_cluster_preset("h800-ib");
  spec.options.nodes = kRanks / spec.options.gpus_per_node;
  return build_cluster(spec);
}

struct Setup {
  MoeModel model = load_model("deepseek-v3");
  Cluster cluster = make_cluster();
  FabricPaths paths{cluster.fabric};
  RoutingTrace trace = open_trace(std::getenv("MOESIM_BENCH_TRACE"));
  ShardingPlan plan;
  Batch batch;

  Setup() {
    plan.parallelism = {kRanks, kRanks, 1};
    plan.redundant_experts = kRedundant;
    plan.precision.dispatch = PayloadFormat::fp8;
    std::vector<std::uint32_t> rows(kRanks * kTokens);
    std::iota(rows.begin(), rows.end(), 0U);
    const PlacementInput input{expert_load(trace, rows),
                               static_cast<int>(model.experts) + kRedundant,
                               kRanks,
                               cluster.fabric.nodes(),
                               1,
                               1};
    plan.placement = Catalog<PlacementPart>::instance().at("eplb", "placement")(input);
    for (int rank = 0; rank < kRanks; ++rank) {
      batch.by_rank.emplace_back(kTokens, BatchEntry{rank, Phase::decode, 1, 1024});
      const auto first = rows.begin() + rank * kTokens;
      batch.rows.emplace_back(first, first + kTokens);
    }
  }
};

const Setup& setup() {
  static const Setup shared;
  return shared;
}

void build_whole_step(benchmark::State& state) {
  const Setup& s = setup();
  const RankCosts costs(s.model, s.cluster, s.plan.parallelism, s.plan.precision);
  const StepInputs inputs{
      s.model, s.cluster, s.plan, s.trace, costs, false, static_cast<int>(state.range(0)),
      &s.paths};
  for (auto _ : state) benchmark::DoNotOptimize(build_step(inputs, s.batch));
}
BENCHMARK(build_whole_step)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

void walk_fabric_paths(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(FabricPaths(setup().cluster.fabric));
}
BENCHMARK(walk_fabric_paths)->Unit(benchmark::kMillisecond);

void count_copies_of_four_layers(benchmark::State& state) {
  const Setup& s = setup();
  const RoutingInputs routing{s.trace, s.batch, s.plan, 8};
  RoutedCopies copies;
  for (auto _ : state) {
    const ExpertChoices choices(routing, 0, 4);
    for (std::size_t layer = 0; layer < 4; ++layer) count_copies(routing, choices, layer, copies);
  }
}
BENCHMARK(count_copies_of_four_layers)->Unit(benchmark::kMillisecond);

void load_links_of_one_exchange(benchmark::State& state) {
  const Setup& s = setup();
  const auto copies = std::make_shared<RoutedCopies>();
  const RoutingInputs routing{s.trace, s.batch, s.plan, 8};
  count_copies(routing, ExpertChoices(routing, 0, 1), 0, *copies);
  ExchangeInputs inputs;
  inputs.traffic.legs = {leg_of(copies, copies->copies, 7408, state.range(0) == 1)};
  inputs.traffic.messages_per_row = inputs.traffic.messages_per_peer = 1;
  inputs.peers = kRanks - 1;
  for (auto _ : state) benchmark::DoNotOptimize(make_exchange(s.paths, kRanks, inputs));
}
BENCHMARK(load_links_of_one_exchange)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
