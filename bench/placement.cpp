// How long placements take for DeepSeek-V3's 58 MoE layers: 256 experts in 8 groups and 32
// redundant ones on 32 GPUs in 4 nodes; the planning window has 32,768 tokens, top-8.
#include "sim/plan/placement.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "sim/core/random.h"
#include "sim/cost/rank_costs.h"
#include "sim/plan/all_to_all.h"
#include "sim/trace/request_rows.h"
#include "workloads/traces/synth.h"

namespace {

using namespace moesim;

// Megabytes of anonymous memory of this process.
double anonymous_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssAnon:", 0) == 0) return std::strtod(line.c_str() + 8, nullptr) / 1024;
  return 0;
}

PlacementInput deepseek_input() {
  PlacementInput input;
  Random random(1);
  for (int layer = 0; layer < 58; ++layer) {
    std::vector<double> load;
    for (int expert = 0; expert < 256; ++expert)
      load.push_back(std::round(1000 * std::exp(0.8 * random.normal())));
    input.load.push_back(std::move(load));
  }
  input.slots = 288;
  input.ranks = 32;
  input.nodes = 4;
  input.groups = 8;
  return input;
}

// The same with the tokens of a synthetic trace, on four nodes of H800.
struct Window {
  RoutingTrace trace;
  std::vector<std::uint32_t> rows;
  Cluster cluster;
  MoeModel model = load_model("deepseek-v3");
  std::unique_ptr<RankCosts> costs;
  PlacementInput input = deepseek_input();

  Window() {
    SynthRequest request;
    request.tokens = 32'768;
    request.experts = 256;
    request.top_k = 8;
    request.moe_layers = 58;
    request.groups = 8;
    request.kept_groups = 4;
    trace = synthesize(load_profile("deepseek-v3"), request);
    rows = all_rows(trace.tokens());
    ClusterSpec spec = load_cluster_preset("h800-ib");
    spec.options.nodes = 4;
    cluster = build_cluster(spec);
    costs = std::make_unique<RankCosts>(model, cluster, Parallelism{32, 32, 1}, Precision{});
    input.load = expert_load(trace, rows);
    input.tokens = {&trace, rows};
    input.cluster.fabric = &cluster.fabric;
    input.cluster.costs = costs.get();
    input.cluster.dispatch.row_bytes = row_bytes(model.hidden, PayloadFormat::fp8);
    input.cluster.combine.row_bytes = row_bytes(model.hidden, PayloadFormat::bf16);
    input.cluster.step_copies = 128.0 * 32 * 8;
  }
};

const Window& window() {
  static const Window made;
  return made;
}

void place(benchmark::State& state, const char* strategy, int groups) {
  PlacementInput input = deepseek_input();
  input.groups = groups;
  const PlacementPart& part = Catalog<PlacementPart>::instance().at(strategy, "placement");
  for (auto _ : state) benchmark::DoNotOptimize(part(input));
  state.counters["RssAnon_MB"] = anonymous_megabytes();
}

void place_window(benchmark::State& state, const char* strategy) {
  const PlacementPart& part = Catalog<PlacementPart>::instance().at(strategy, "placement");
  for (auto _ : state) benchmark::DoNotOptimize(part(window().input));
}

// From EPLB's placement, when loads have changed by a tenth.
void place_again(benchmark::State& state) {
  const auto& catalog = Catalog<PlacementPart>::instance();
  PlacementInput input = deepseek_input();
  input.previous = catalog.at("eplb", "placement")(input);
  Random random(2);
  for (auto& layer : input.load)
    for (double& load : layer) load *= std::exp(0.1 * random.normal());
  const PlacementPart& part = catalog.at("eplb_preserving", "placement");
  for (auto _ : state) benchmark::DoNotOptimize(part(input));
}

BENCHMARK_CAPTURE(place, eplb_hierarchical, "eplb", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place, eplb_global, "eplb", 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place, contiguous, "contiguous", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place, round_robin, "round_robin", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place, greedy, "greedy", 8)->Unit(benchmark::kMillisecond);
BENCHMARK(place_again)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place_window, co_activation, "co_activation")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place_window, affinity, "affinity")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place_window, topology_aware, "topology_aware")->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
