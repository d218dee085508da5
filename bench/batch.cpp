// How long the batches of 320 ranks take, 128 tokens each.
#include "sim/plan/batch.h"

#include <benchmark/benchmark.h>

#include "sim/trace/request_rows.h"

namespace {

using namespace moesim;

// One expert a token: batches never look at the experts.
RoutingTrace rows_only_trace(std::size_t tokens) {
  TraceColumns columns;
  columns.header = {1, "rows", 2, 1, {0}, "synthetic", 0, {"all"}, ""};
  columns.experts.assign(tokens, 0);
  for (std::size_t i = 0; i < tokens; ++i) {
    columns.request.push_back(static_cast<std::int32_t>(i / 256));
    columns.position.push_back(static_cast<std::int32_t>(i % 256));
  }
  columns.step.assign(tokens, 0);
  columns.domain.assign(tokens, 0);
  columns.phase.assign(tokens, 0);
  return make_trace(std::move(columns));
}

void make(benchmark::State& state, Phase phase, int steps) {
  const RoutingTrace trace = rows_only_trace(40'960);
  const auto rows = all_rows(trace.tokens());
  WorkloadSpec workload;
  workload.phase = phase;
  workload.tokens_per_rank = 128;
  workload.spread = 0.1;
  workload.context_sigma = 0.6;
  workload.steps = steps;
  for (auto _ : state) benchmark::DoNotOptimize(make_batches(workload, trace, rows, 320, 1));
}

BENCHMARK_CAPTURE(make, decode_1_step, Phase::decode, 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(make, decode_8_steps, Phase::decode, 8)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(make, prefill_1_step, Phase::prefill, 1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
