// How long placements take for DeepSeek-V3's 58 MoE layers: 256 experts in 8 groups and 32
// redundant ones on 32 GPUs in 4 nodes.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#include "sim/core/random.h"
#include "sim/plan/placement.h"

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

void place(benchmark::State& state, const char* strategy, int groups) {
  PlacementInput input = deepseek_input();
  input.groups = groups;
  const PlacementPart& part = Catalog<PlacementPart>::instance().at(strategy, "placement");
  for (auto _ : state) benchmark::DoNotOptimize(part(input));
  state.counters["RssAnon_MB"] = anonymous_megabytes();
}

BENCHMARK_CAPTURE(place, eplb_hierarchical, "eplb", 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place, eplb_global, "eplb", 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(place, contiguous, "contiguous", 8)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
