// Prefill and decode speed of the reference model, against oneDNN's own sgemm on the same product
// shapes: `moesim` promises prefill above half of that rate (docs/performance.md).
#include "workloads/forward/forward.h"

#include <benchmark/benchmark.h>
#include <dnnl.h>

#include <chrono>
#include <map>
#include <vector>

#include "sim/io/files.h"
#include "workloads/tokens/token_source.h"

extern "C" void omp_set_num_threads(int threads);  // oneDNN's own threading (libgomp)

namespace {

using namespace moesim;

// The reference model's shapes, as in workloads/reference/model/config.json.
constexpr std::int64_t kLayers = 8, kHidden = 256, kHeads = 8, kKvHeads = 4, kHeadDim = 32;
constexpr std::int64_t kExperts = 32, kTopK = 4, kWidth = 64, kVocabulary = 256;

struct Shape {
  std::int64_t m, n, k, times;
};

// The products one prefill needs, each projection and expert as one call; an expert gets its even
// share of the token copies. Attention as one call per head over the whole square.
std::vector<Shape> products(std::int64_t tokens) {
  const std::int64_t share = tokens * kTopK / kExperts;
  return {{tokens, kHeads * kHeadDim, kHidden, kLayers},
          {tokens, kKvHeads * kHeadDim, kHidden, 2 * kLayers},
          {tokens, tokens, kHeadDim, kHeads * kLayers},
          {tokens, kHeadDim, tokens, kHeads * kLayers},
          {tokens, kHidden, kHeads * kHeadDim, kLayers},
          {tokens, kExperts, kHidden, kLayers},
          {share, kWidth, kHidden, 2 * kExperts * kLayers},
          {share, kHidden, kWidth, kExperts * kLayers},
          {tokens, kVocabulary, kHidden, 1}};
}

// FLOPs of the products above; `causal` counts of attention only the half that a model needs.
double flops_of(std::int64_t tokens, bool causal) {
  double flops = 0;
  for (const Shape& s : products(tokens)) {
    const bool halved = causal && s.times == kHeads * kLayers;  // attention's calls alone
    flops += (halved ? 1.0 : 2.0) * static_cast<double>(s.m * s.n * s.k * s.times);
  }
  return flops;
}

// Seconds oneDNN's sgemm takes for all products, weights in different places as in a model.
double sgemm_seconds(std::int64_t tokens, int threads) {
  omp_set_num_threads(threads);
  constexpr std::size_t kPlaces = std::size_t{16} << 20;  // floats: 64 MiB, the model's size
  static std::vector<float> weights(kPlaces, 0.01F);
  std::vector<float> x(static_cast<std::size_t>(tokens * 1024), 0.5F), y(x.size());
  std::size_t place = 0;
  const auto start = std::chrono::steady_clock::now();
  for (const Shape& s : products(tokens))
    for (std::int64_t i = 0; i < s.times; ++i) {
      const auto size = static_cast<std::size_t>(s.n * s.k);
      if (place + size > kPlaces) place = 0;
      dnnl_sgemm('N', 'T', s.m, s.n, s.k, 1, x.data(), s.k, &weights[place], s.k, 0, y.data(), s.n);
      place += size;
    }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

const ForwardModel& reference_model() {
  static const ForwardModel model(data_path("workloads/reference/model"));
  return model;
}

std::vector<std::int32_t> text(std::int64_t tokens) {
  std::vector<std::int32_t> ids =
      read_token_texts(data_path("workloads/reference/texts/code.txt"), {.vocabulary = kVocabulary})
          .front()
          .requests.front();
  ids.resize(static_cast<std::size_t>(tokens));
  return ids;
}

// Prefill and plain sgemm alternate, so that both see the same machine.
void prefill(benchmark::State& state) {
  const std::int64_t tokens = state.range(0);
  const int threads = static_cast<int>(state.range(1));
  const ForwardModel& model = reference_model();
  const std::vector<std::int32_t> ids = text(tokens);
  const ForwardOptions options{.threads = threads, .logits = KeepLogits::all};
  model.run(ids, *model.new_cache(), options);
  sgemm_seconds(tokens, threads);
  double own = 0, sgemm = 0;
  for (auto _ : state) {
    const auto cache = model.new_cache();
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(model.run(ids, *cache, options));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    state.SetIterationTime(seconds);
    own += seconds;
    sgemm += sgemm_seconds(tokens, threads);
  }
  const double runs = static_cast<double>(state.iterations());
  state.counters["tokens/s"] = runs * static_cast<double>(tokens) / own;
  const double own_rate = runs * flops_of(tokens, true) / own;
  const double sgemm_rate = runs * flops_of(tokens, false) / sgemm;
  state.counters["GFLOP/s"] = own_rate / 1e9;
  state.counters["sgemm_GFLOP/s"] = sgemm_rate / 1e9;
  state.counters["of_sgemm"] = own_rate / sgemm_rate;
}
BENCHMARK(prefill)
    ->ArgNames({"tokens", "threads"})
    ->ArgsProduct({{256, 512}, {1, 2}})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

void decode(benchmark::State& state) {
  const ForwardModel& model = reference_model();
  const std::vector<std::int32_t> ids = text(256);
  const ForwardOptions options{.threads = static_cast<int>(state.range(0)),
                               .logits = KeepLogits::all};
  auto cache = model.new_cache();
  std::int64_t tokens = 0;
  for (auto _ : state) {
    if (tokens % 256 == 0) cache = model.new_cache();
    const std::size_t at = static_cast<std::size_t>(tokens++ % 256);
    benchmark::DoNotOptimize(model.run(std::span(ids).subspan(at, 1), *cache, options));
  }
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
}
BENCHMARK(decode)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
