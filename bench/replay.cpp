// Replay: one skewed exchange with every flow at 64 ranks, and the engine's share of a DeepSeek-V3
// step at `bound`: 58 MoE layers of 61, two exchanges each, 320 ranks.
#include "sim/replay/replay.h"

#include <benchmark/benchmark.h>

#include <cmath>

#include "sim/core/random.h"
#include "tests/sim/replay/hand_made.h"

namespace moesim {
namespace {

using namespace hand_made;

// Rows of 7408 B, 128 tokens x top-8 a rank, with lognormal popularity of the destinations.
std::vector<Flow> skewed_flows(int ranks) {
  Random random(1);
  std::vector<double> popularity;
  double total = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    popularity.push_back(std::exp(0.6 * random.normal()));
    total += popularity.back();
  }
  std::vector<Flow> flows;
  for (int source = 0; source < ranks; ++source) {
    for (int destination = 0; destination < ranks; ++destination) {
      const double mean = 128 * 8 * popularity[static_cast<std::size_t>(destination)] / total;
      const double rows = std::round(std::max(0.0, mean + std::sqrt(mean) * random.normal()));
      if (source != destination && rows > 0)
        flows.push_back(flow_of(source, destination, 7408 * rows));
    }
  }
  return flows;
}

void replay_flows(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  const Cluster cluster = rails_of(ranks / 8, 8);
  const StepGraph graph = step_of(ranks, exchange_of(skewed_flows(ranks), cluster));
  const double bound = replay(graph, cluster, Fidelity::bound).makespan.count();
  double flows = 0;
  for (auto _ : state) {
    flows = replay(graph, cluster, Fidelity::flows).makespan.count();
  }
  state.counters["flows"] = static_cast<double>(graph.exchanges[0].flows.size());
  state.counters["makespan_over_bound"] = flows / bound;
}
BENCHMARK(replay_flows)->Arg(32)->Arg(64)->Unit(benchmark::kMillisecond);

void replay_bound(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  const Cluster cluster = rails_of(ranks / 8, 8);
  const Exchange exchange = exchange_of(skewed_flows(ranks), cluster);
  Random random(2);
  const std::vector<TaskKind> before{TaskKind::attention, TaskKind::router,
                                     TaskKind::shared_expert};
  StepGraph graph;
  graph.ranks = ranks;
  const auto compute = [&](TaskKind kind) {
    std::vector<double> seconds;
    for (int rank = 0; rank < ranks; ++rank) seconds.push_back(1e-5 * (1 + random.uniform()));
    add_compute(graph, kind, seconds);
  };
  for (int layer = 0; layer < 61; ++layer) {
    if (layer < 3) {
      compute(TaskKind::attention);
      compute(TaskKind::dense_ffn);
      continue;
    }
    for (const TaskKind kind : before) compute(kind);
    add_exchange(graph, TaskKind::dispatch, exchange);
    graph.exchanges.back().flows.clear();
    compute(TaskKind::expert_ffn);
    add_exchange(graph, TaskKind::combine, exchange);
    graph.exchanges.back().flows.clear();
  }
  for (auto _ : state) {
    const Timeline timeline = replay(graph, cluster, Fidelity::bound);
    benchmark::DoNotOptimize(timeline.makespan);
  }
  const Timeline timeline = replay(graph, cluster, Fidelity::bound);
  benchmark::DoNotOptimize(check_step(graph, timeline, cluster));
  state.counters["exchanges"] = static_cast<double>(graph.exchanges.size());
}
BENCHMARK(replay_bound)->Arg(320)->Unit(benchmark::kMillisecond);

void build_fabric(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(rails_of(static_cast<int>(state.range(0)) / 8, 8).fabric.ranks);
}
BENCHMARK(build_fabric)->Arg(1024)->Unit(benchmark::kMillisecond);

void bisection(benchmark::State& state) {
  const Cluster cluster = rails_of(static_cast<int>(state.range(0)) / 8, 8);
  for (auto _ : state) benchmark::DoNotOptimize(bisection_bandwidth(cluster.fabric));
}
BENCHMARK(bisection)->Arg(320)->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim

BENCHMARK_MAIN();
