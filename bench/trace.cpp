// How fast traces are drawn, measured and opened, as entries a second, beside how fast this machine
// copies memory and reads a stream in the same run. An entry is one chosen expert, 2 bytes.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "sim/trace/trace_stats.h"
#include "workloads/traces/synth.h"

namespace {

using namespace moesim;

constexpr int kThreads = 2;

// DeepSeek-V3's shape and statistics: 256 experts in groups, top-8, two domains, prefill and
// decode.
SynthRequest deepseek(std::int64_t tokens) {
  SynthRequest request;
  request.tokens = tokens;
  request.moe_layers = 58;
  request.mixes = {{0, {{"code", 1}, {"chat", 1}}}};
  request.threads = kThreads;
  return request;
}

void count_entries(benchmark::State& state, std::size_t entries) {
  state.counters["entries/s"] = benchmark::Counter(static_cast<double>(entries),
                                                   benchmark::Counter::kIsIterationInvariantRate);
}

// 20 M entries, tables and SHA-256 of the result included.
void synthesize_20_million(benchmark::State& state) {
  const SynthProfile profile = load_profile("deepseek-v3");
  const SynthRequest request = deepseek(20'000'000 / (58 * 8));
  std::size_t entries = 0;
  for (auto _ : state) entries = synthesize(profile, request).experts.size();
  count_entries(state, entries);
}

// Statistics as printed. Argument: millions of entries.
void statistics(benchmark::State& state) {
  const RoutingTrace trace =
      synthesize(load_profile("deepseek-v3"), deepseek(state.range(0) * 1'000'000 / (58 * 8)));
  for (auto _ : state) benchmark::DoNotOptimize(trace_stats(trace, kThreads));
  count_entries(state, trace.experts.size());
}

void open_trace_of_million_tokens(benchmark::State& state) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("moesim_bench_" + std::to_string(::getpid()) + ".safetensors"))
                               .string();
  SynthRequest request = deepseek(1 << 20);
  request.moe_layers = 4;
  write_trace(path, synthesize(load_profile("deepseek-v3"), request));
  for (auto _ : state) benchmark::DoNotOptimize(open_trace(path));
  std::filesystem::remove(path);
}

template <class Work>
void on_both_threads(std::size_t size, Work work) {
  std::thread other([&] { work(size / 2, size); });
  work(std::size_t{0}, size / 2);
  other.join();
}

constexpr std::size_t kStream = std::size_t{1} << 28;  // words of 2 bytes, far beyond the cache

void copy_memory(benchmark::State& state) {
  const std::vector<std::uint16_t> from(kStream, 1);
  std::vector<std::uint16_t> to(kStream, 0);
  for (auto _ : state) {
    on_both_threads(kStream, [&](std::size_t begin, std::size_t end) {
      std::memcpy(&to[begin], &from[begin], (end - begin) * sizeof(std::uint16_t));
    });
    benchmark::ClobberMemory();
  }
  count_entries(state, kStream);
}

void read_stream(benchmark::State& state) {
  const std::vector<std::uint16_t> from(kStream, 1);
  for (auto _ : state)
    on_both_threads(kStream, [&](std::size_t begin, std::size_t end) {
      const auto first = from.begin() + static_cast<std::ptrdiff_t>(begin);
      benchmark::DoNotOptimize(std::accumulate(
          first, first + static_cast<std::ptrdiff_t>(end - begin), std::uint16_t{0},
          [](std::uint16_t a, std::uint16_t b) { return static_cast<std::uint16_t>(a | b); }));
    });
  count_entries(state, kStream);
}

BENCHMARK(synthesize_20_million)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(statistics)
    ->Arg(20)
    ->Arg(60)
    ->Arg(100)
    ->Arg(250)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(open_trace_of_million_tokens)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(copy_memory)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(read_stream)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
