// Replay: one skewed exchange with `flows` and `paths`, and the engine's share of a DeepSeek-V3
// step with `bound` and `links` side by side: 58 MoE layers of 61, two exchanges each, 320 ranks.
#include "sim/replay/replay.h"

#include <benchmark/benchmark.h>

#include <cmath>

#include "sim/core/random.h"
#include "sim/plan/fabric_paths.h"
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
  state.counters["makespan_over_bound_less_1"] = flows / bound - 1;
}
BENCHMARK(replay_flows)
    ->Arg(64)
    ->Arg(96)
    ->Arg(128)
    ->Arg(256)
    ->Arg(320)
    ->Unit(benchmark::kMillisecond);

// What deepep_normal sends over the network: a source's rows for a node, by its rail; some tokens
// go to two experts of the node and cross once.
std::vector<Flow> rail_flows(int ranks) {
  constexpr double kCrossOnce = 0.9;
  std::vector<double> rows(static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks));
  for (const Flow& flow : skewed_flows(ranks)) {
    const std::size_t source = index(flow.source), to = index(flow.destination);
    const bool same_node = source / 8 == to / 8;
    const std::size_t rail = same_node ? to : to / 8 * 8 + source % 8;
    rows[source * static_cast<std::size_t>(ranks) + rail] +=
        flow.bytes.value * (same_node ? 1 : kCrossOnce);
  }
  std::vector<Flow> flows;
  for (int source = 0; source < ranks; ++source)
    for (int to = 0; to < ranks; ++to)
      if (const double bytes = rows[static_cast<std::size_t>(source * ranks + to)]; bytes > 0)
        flows.push_back(flow_of(source, to, bytes));
  return flows;
}

void replay_rails(benchmark::State& state) {
  const int ranks = static_cast<int>(state.range(0));
  const Cluster cluster = rails_of(ranks / 8, 8);
  const StepGraph graph = step_of(ranks, exchange_of(rail_flows(ranks), cluster));
  const double bound = replay(graph, cluster, Fidelity::bound).makespan.count();
  double paths = 0;
  for (auto _ : state) paths = replay(graph, cluster, Fidelity::paths).makespan.count();
  state.counters["flows"] = static_cast<double>(graph.exchanges[0].flows.size());
  state.counters["makespan_over_bound_less_1"] = paths / bound - 1;
}
BENCHMARK(replay_rails)->Arg(64)->Arg(320)->Unit(benchmark::kMillisecond);

// 58 MoE layers of 61, two exchanges each, all alike.
StepGraph decode_step(int ranks, const Cluster& cluster) {
  Exchange exchange = with_shares(exchange_of(skewed_flows(ranks), cluster), cluster.fabric);
  exchange.flows.clear();
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
    compute(TaskKind::expert_ffn);
    add_exchange(graph, TaskKind::combine, exchange);
  }
  return graph;
}

// `links` with every loaded link carried by the engine, whether groups meet on it or not.
void replay_step(benchmark::State& state, Fidelity fidelity) {
  const int ranks = static_cast<int>(state.range(0));
  const Cluster cluster = rails_of(ranks / 8, 8);
  const StepGraph graph = decode_step(ranks, cluster);
  const FabricPaths paths(cluster.fabric);
  ReplayOptions options(fidelity);
  options.paths = &paths;
  options.every_link = true;
  double makespan = 0;
  for (auto _ : state) makespan = replay(graph, cluster, options).makespan.count();
  const Timeline bound = replay(graph, cluster, Fidelity::bound);
  benchmark::DoNotOptimize(check_step(graph, bound, cluster));
  state.counters["exchanges"] = static_cast<double>(graph.exchanges.size());
  state.counters["links"] =
      static_cast<double>(graph.exchanges.size() * graph.exchanges.front().shares.size());
  state.counters["makespan_over_bound_less_1"] = makespan / bound.makespan.count() - 1;
}
BENCHMARK_CAPTURE(replay_step, bound, Fidelity::bound)->Arg(320)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(replay_step, links, Fidelity::links)->Arg(320)->Unit(benchmark::kMillisecond);

void build_fabric(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(rails_of(static_cast<int>(state.range(0)) / 8, 8).fabric.ranks);
}
BENCHMARK(build_fabric)->Arg(1024)->Arg(16384)->Unit(benchmark::kMillisecond);

void bisection(benchmark::State& state) {
  const Cluster cluster = rails_of(static_cast<int>(state.range(0)) / 8, 8);
  for (auto _ : state) benchmark::DoNotOptimize(bisection_bandwidth(cluster.fabric));
}
BENCHMARK(bisection)->Arg(320)->Arg(1024)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim

BENCHMARK_MAIN();
