// Two layers of OLMoE-1B-7B's shapes with random BF16 weights in a real file: prefill against
// oneDNN's sgemm on the same products, decode against this machine's streaming reads, both in one
// run. The file (1.7 GB) goes to $MOESIM_BENCH_MODEL, or a folder in /tmp that is kept between
// runs; bench/torch_moe.py runs the same file's MoE blocks in torch.
#include <benchmark/benchmark.h>
#include <dnnl.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "sim/io/safetensors.h"
#include "workloads/forward/forward.h"
#include "workloads/forward/random_weights.h"

extern "C" void omp_set_num_threads(int threads);  // oneDNN's own threading (libgomp)

namespace {

using namespace moesim;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kLayers = 2, kHidden = 2048, kHeads = 16, kExperts = 64, kTopK = 8,
                       kWidth = 1024, kVocabulary = 256;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TensorStream random_tensor(const RandomWeights& random,
                           const std::string& name,
                           std::int64_t rows,
                           std::int64_t columns) {
  const auto fill = [&random, name, rows, columns](const Sink& sink) {
    const StoredMatrix matrix = random.matrix(name, {.rows = rows, .columns = columns}).matrix;
    std::vector<std::uint16_t> row(static_cast<std::size_t>(columns));
    std::vector<float> values(row.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      expand_rows({matrix, r, 1, columns}, values.data());
      for (std::size_t c = 0; c < row.size(); ++c) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &values[c], sizeof bits);
        row[c] = static_cast<std::uint16_t>(bits >> 16);  // exact: the values are BF16
      }
      sink(std::as_bytes(std::span<const std::uint16_t>(row)));
    }
  };
  return {name, Dtype::bf16, {rows, columns}, fill};
}

TensorStream gain(const std::string& name) {
  return {name, Dtype::bf16, {kHidden}, [](const Sink& sink) {
            const std::vector<std::uint16_t> ones(kHidden, 0x3F80);
            sink(std::as_bytes(std::span<const std::uint16_t>(ones)));
          }};
}

void write_model(const std::string& folder) {
  const RandomWeights random(1);
  std::vector<TensorStream> tensors;
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    tensors.push_back(random_tensor(random, name + ".weight", rows, columns));
  };
  add("model.embed_tokens", kVocabulary, kHidden);
  add("lm_head", kVocabulary, kHidden);
  tensors.push_back(gain("model.norm.weight"));
  for (std::int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const char* name :
         {"input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm"})
      tensors.push_back(gain(prefix + name + ".weight"));
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
      add(prefix + "self_attn." + name, kHidden, kHidden);
    add(prefix + "mlp.gate", kExperts, kHidden);
    for (std::int64_t expert = 0; expert < kExperts; ++expert) {
      const std::string part = prefix + "mlp.experts." + std::to_string(expert) + ".";
      add(part + "gate_proj", kWidth, kHidden);
      add(part + "up_proj", kWidth, kHidden);
      add(part + "down_proj", kHidden, kWidth);
    }
  }
  stream_safetensors(folder + "/model.safetensors", tensors, {});
  const nlohmann::json config = {{"model_type", "olmoe"},         {"vocab_size", kVocabulary},
                                 {"hidden_size", kHidden},        {"intermediate_size", kWidth},
                                 {"num_hidden_layers", kLayers},  {"num_attention_heads", kHeads},
                                 {"num_key_value_heads", kHeads}, {"num_experts", kExperts},
                                 {"num_experts_per_tok", kTopK},  {"rms_norm_eps", 1e-5},
                                 {"norm_topk_prob", false}};
  write_file(folder + "/config.json", config.dump(1));
}

std::string model_folder() {
  const char* given = std::getenv("MOESIM_BENCH_MODEL");
  const std::string folder = given != nullptr ? given : "/tmp/moesim_bench_olmoe_layers";
  if (!std::filesystem::exists(folder + "/config.json")) {
    make_folder(folder);
    write_model(folder);
  }
  return folder;
}

const ForwardModel& model() {
  static const ForwardModel loaded(model_folder());
  return loaded;
}

std::vector<std::int32_t> tokens_of(std::int64_t count) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(i * i % 251));
  return tokens;
}

struct Shape {
  std::int64_t m, n, k, times;
};

// The products of one prefill; an expert gets its even share of the token copies.
std::vector<Shape> products(std::int64_t tokens) {
  const std::int64_t share = tokens * kTopK / kExperts;
  return {{tokens, kHidden, kHidden, 4 * kLayers},
          {tokens, tokens, kHidden / kHeads, kHeads * kLayers},
          {tokens, kHidden / kHeads, tokens, kHeads * kLayers},
          {tokens, kExperts, kHidden, kLayers},
          {share, kWidth, kHidden, 2 * kExperts * kLayers},
          {share, kHidden, kWidth, kExperts * kLayers}};
}

// Seconds of oneDNN's sgemm for all of them, weights in different places of float32 memory.
double sgemm_seconds(std::int64_t tokens, int threads) {
  omp_set_num_threads(threads);
  constexpr std::size_t kPlaces = std::size_t{64} << 20;
  static std::vector<float> weights(kPlaces, 0.01F);
  std::vector<float> x(static_cast<std::size_t>(tokens * kHidden), 0.5F), y(x.size());
  std::size_t place = 0;
  const auto start = Clock::now();
  for (const Shape& s : products(tokens))
    for (std::int64_t i = 0; i < s.times; ++i) {
      const auto size = static_cast<std::size_t>(s.n * s.k);
      if (place + size > kPlaces) place = 0;
      dnnl_sgemm('N', 'T', s.m, s.n, s.k, 1, x.data(), s.k, &weights[place], s.k, 0, y.data(), s.n);
      place += size;
    }
  return since(start);
}

// Bytes a second that `threads` threads read from memory, summing 1 GiB.
double read_bandwidth(int threads) {
  static const std::vector<std::uint64_t> data(std::size_t{128} << 20, 1);
  const std::size_t share = data.size() / static_cast<std::size_t>(threads);
  std::vector<std::thread> readers;
  const auto start = Clock::now();
  for (int t = 0; t < threads; ++t)
    readers.emplace_back([&, t] {
      std::uint64_t sums[8]{};
      const std::uint64_t* from = data.data() + static_cast<std::size_t>(t) * share;
      for (std::size_t i = 0; i + 8 <= share; i += 8)
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += from[i + lane];
      for (const std::uint64_t sum : sums) benchmark::DoNotOptimize(sum);
    });
  for (std::thread& reader : readers) reader.join();
  return static_cast<double>(data.size() * sizeof data[0]) / since(start);
}

void prefill(benchmark::State& state) {
  constexpr std::int64_t kTokens = 512;
  const int threads = static_cast<int>(state.range(0));
  const auto tokens = tokens_of(kTokens);
  const ForwardOptions options{.threads = threads, .logits = KeepLogits::last};
  model().run(tokens, *model().new_cache(), options);
  sgemm_seconds(kTokens, threads);
  double own = 0, sgemm = 0;
  for (auto _ : state) {
    const auto cache = model().new_cache();
    const auto start = Clock::now();
    benchmark::DoNotOptimize(model().run(tokens, *cache, options));
    state.SetIterationTime(since(start));
    own += since(start);
    sgemm += sgemm_seconds(kTokens, threads);
  }
  state.counters["tokens/s"] =
      static_cast<double>(state.iterations()) * static_cast<double>(kTokens) / own;
  state.counters["of_sgemm"] = sgemm / own;
}
BENCHMARK(prefill)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Unit(
    benchmark::kMillisecond);

void decode(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  const auto tokens = tokens_of(64);
  const ForwardOptions options{.threads = threads, .logits = KeepLogits::last};
  constexpr double kBytes = 2.0 * kLayers *
                            (4 * kHidden * kHidden + kExperts * kHidden +
                             kTopK * 3 * kHidden * kWidth);  // BF16 weights of a token
  const auto cache = model().new_cache();
  model().run(tokens, *cache, options);
  double own = 0, bandwidth = 0;
  for (auto _ : state) {
    const auto start = Clock::now();
    for (const std::int32_t token : tokens)
      benchmark::DoNotOptimize(model().run(std::span(&token, 1), *cache, options));
    state.SetIterationTime(since(start));
    own += since(start);
    bandwidth += read_bandwidth(threads);
  }
  const double count = static_cast<double>(state.iterations());
  const double rate = count * static_cast<double>(tokens.size()) / own;
  state.counters["tokens/s"] = rate;
  state.counters["GB/s"] = rate * kBytes / 1e9;
  state.counters["of_streaming"] = rate * kBytes * count / bandwidth;
}
BENCHMARK(decode)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Unit(
    benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
