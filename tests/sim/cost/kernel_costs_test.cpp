// Work of kernels against closed forms, their times against published measurements.
#include "sim/cost/kernel_costs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/core/error.h"

using namespace moesim;

namespace {

Accelerator hopper(const std::string& name, double bandwidth) {
  Accelerator accelerator;
  accelerator.name = name;
  accelerator.memory_bandwidth = BytesPerSecond(bandwidth);
  accelerator.peak = {{"bf16", FlopsPerSecond(989e12)}, {"fp8", FlopsPerSecond(1979e12)}};
  return accelerator;
}

Precision precision_of(const MoeModel& model) {
  Precision precision;
  precision.experts = model.expert_format;
  precision.dense = model.dense_format;
  return precision;
}

std::vector<BatchEntry> decode_batch(int requests, int context) {
  std::vector<BatchEntry> entries(static_cast<std::size_t>(requests));
  for (BatchEntry& entry : entries) entry.context = context;
  return entries;
}

BatchEntry prefill_entry(int new_tokens, int context) {
  BatchEntry entry;
  entry.phase = Phase::prefill;
  entry.new_tokens = new_tokens;
  entry.context = context;
  return entry;
}

const KernelWork& work_of(const std::vector<KernelWork>& works, const std::string& kernel) {
  const auto found = std::find_if(works.begin(), works.end(),
                                  [&](const KernelWork& work) { return work.kernel == kernel; });
  REQUIRE(found != works.end());
  return *found;
}

std::vector<KernelWork> latent_work(const MoeModel& model, std::vector<BatchEntry> entries) {
  return attention_work(
      {model.layers[0].attention, model.hidden, 128, 128, WeightFormat::fp8, "fp8", 2.0}, entries);
}

}  // namespace

TEST_CASE("a new token attends to what is before it, at most a window") {
  for (const int context : {0, 3, 20}) {
    for (const int new_tokens : {1, 4, 9}) {
      for (const int window : {0, 1, 5, 100}) {
        double pairs = 0, first_seen = 1e9;
        for (int i = 1; i <= new_tokens; ++i) {
          const int seen = window == 0 ? context + i : std::min(context + i, window);
          pairs += seen;
          first_seen = std::min(first_seen, static_cast<double>(context + i - seen));
        }
        const BatchEntry entry = prefill_entry(new_tokens, context);
        CHECK(attention_pairs(entry, window) == pairs);
        CHECK(attended_tokens(window, context, new_tokens) == context + new_tokens - first_seen);
      }
    }
  }
}

TEST_CASE("grouped-query attention counts its projections and its pairs") {
  const MoeModel model = load_model("mixtral-8x7b");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  // 64 requests, a whole block of rows, of 1000 cached tokens: 64 x 1001 pairs, 32 heads of 128, 8
  // KV heads.
  const auto entries = decode_batch(64, 1000);
  const KernelCost cost = costs.attention(0, entries);
  const double projections = 2.0 * 64 * 4096 * (32 + 2 * 8) * 128 + 2.0 * 64 * 32 * 128 * 4096;
  CHECK(cost.flops.value == projections + 4.0 * 32 * 128 * 64 * 1001);
  // At least the weights and the cache are read.
  const double weights = 2.0 * (4096 * (32 + 16) * 128 + 32 * 128 * 4096);
  const double cache = 64 * 1001 * 2.0 * 8 * 128 * 2;
  CHECK(cost.bytes.value > weights + cache);
  CHECK(cost.bytes.value < 1.1 * (weights + cache));
}

TEST_CASE("tensor parallelism divides attention by heads and the head by columns") {
  const MoeModel model = load_model("mixtral-8x7b");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts whole(model, gpu, {8, 8, 1}, precision_of(model));
  const KernelCosts quarter(model, gpu, {8, 8, 4}, precision_of(model));
  const auto entries = decode_batch(64, 4096);
  CHECK(quarter.attention(0, entries).flops.value * 4 == whole.attention(0, entries).flops.value);
  CHECK(quarter.head(64).flops.value * 4 == whole.head(64).flops.value);
  CHECK(quarter.router(64).flops.value == whole.router(64).flops.value);
}

TEST_CASE("latent attention works in the latent space when decoding, over heads in prefill") {
  const MoeModel model = load_model("deepseek-v3");
  const auto decode = latent_work(model, decode_batch(8, 4095));
  const KernelWork& absorbed = work_of(decode, "attention_decode_mla");
  CHECK(absorbed.flops.value == 2.0 * 128 * (8 * 4096) * (512 + 64 + 512));
  const double io = 2.0 * 8 * (128 * (576 + 512) + 576);
  CHECK(absorbed.bytes.value == 8 * 4096 * 576 * 2.0 + io);

  const auto prefill = latent_work(model, {prefill_entry(1000, 0)});
  const KernelWork& expanded = work_of(prefill, "attention_prefill");
  CHECK(expanded.flops.value == 2.0 * 128 * (1000 * 1001 / 2.0) * (192 + 128));
  for (const KernelWork& work : prefill) CHECK(work.kernel != "attention_decode_mla");
}

TEST_CASE("a chunk of prefill expands the cached latents of its context too") {
  const MoeModel model = load_model("deepseek-v3");
  const auto flops = [&](const BatchEntry& entry) {
    double sum = 0;
    for (const KernelWork& work : latent_work(model, {entry})) {
      if (work.kernel == "dense_gemm") sum += work.flops.value;
    }
    return sum;
  };
  // 3000 more cached tokens x 512 x 128 heads x (128 + 128).
  CHECK(flops(prefill_entry(1000, 3000)) - flops(prefill_entry(1000, 0)) ==
        2.0 * 3000 * 512 * 128 * 256);
}

TEST_CASE("prefill layer FLOPs are twice the active weights a token, plus attention") {
  const MoeModel model = load_model("mixtral-8x7b");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  const int tokens = 4096;
  const std::vector<std::uint32_t> copies(8, tokens * 2 / 8);  // 1024: whole row blocks
  const std::vector<BatchEntry> entries{prefill_entry(tokens, 0)};
  const double layer = costs.attention(0, entries).flops.value + costs.router(tokens).flops.value +
                       costs.expert_ffn(copies).flops.value;
  const AttentionParameters attention = attention_parameters(model.layers[0].attention, 4096);
  const double weights = static_cast<double>(attention.split + router_parameters(model) +
                                             2 * expert_parameters(model));
  const double pairs = 4.0 * 32 * 128 * attention_pairs(entries[0], 0);
  CHECK(layer == 2 * tokens * weights + pairs);
}

TEST_CASE("an expert without token copies is not read, rows are rounded up to blocks") {
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  const double block = 64;
  const auto rows = static_cast<std::uint32_t>(block);
  const KernelCost three = costs.expert_ffn(std::vector<std::uint32_t>{1, 0, rows, rows + 1, 0});
  CHECK(three.flops.value == (block + block + 2 * block) * 6 * 7168 * 2048);
  const double weights = 3 * 44040192.0 * bytes_per_weight(WeightFormat::fp8);
  const double activation = 2 * 2048 * 2 + 2048;  // gate and up in, fp8 out
  const double row = 7168 + 2 * 2048 * 2 + activation + 2048 + 7168 * 2;
  CHECK(three.bytes.value == doctest::Approx(weights + (2 * block + 2) * row).epsilon(1e-12));
  CHECK(costs.expert_ffn(std::vector<std::uint32_t>{0, 0}).time.count() == 0);
}

TEST_CASE("expert weights stream on an H800 as measured") {
  // InferSim bench_data/grouped_gemm/decode/h800 (Apache-2.0): up and down projection, us.
  struct Record {
    int experts;
    std::uint32_t rows;
    double microseconds;
  };
  const std::vector<Record> records{{32, 4, 325.291 + 175.974},
                                    {16, 8, 171.608 + 94.028},
                                    {8, 16, 92.143 + 52.656},
                                    {4, 32, 51.557 + 30.752},
                                    {2, 64, 34.223 + 17.589}};
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  for (const Record& record : records) {
    CAPTURE(record.experts);
    const std::vector<std::uint32_t> copies(static_cast<std::size_t>(record.experts), record.rows);
    const KernelCost cost = costs.expert_ffn(copies);
    CHECK(cost.time.count() * 1e6 == doctest::Approx(record.microseconds).epsilon(0.05));
    CHECK(cost.basis == Basis::calibrated);
  }
}

TEST_CASE("the parts of a latent attention layer add up to a measured whole layer") {
  // aiconfigurator h200 sglang 0.5.10 wideep_generation_mla, fa3, 128 heads, fp8 weights and cache,
  // batch 128. The kernel of decode was fitted on that table, the products and the
  // prefill kernel on other GPUs.
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = hopper("h200-sxm", 4.8e12);
  Precision precision = precision_of(model);
  precision.kv_cache = WeightFormat::fp8;
  const KernelCosts costs(model, gpu, {}, precision);
  CHECK(costs.attention(0, decode_batch(128, 0)).time.count() * 1e6 ==
        doctest::Approx(116.4).epsilon(0.3));
  CHECK(costs.attention(0, decode_batch(128, 1024)).time.count() * 1e6 ==
        doctest::Approx(180.8).epsilon(0.3));
  // wideep_context_mla, fa3, one request of 4096 tokens.
  CHECK(costs.attention(0, std::vector{prefill_entry(4096, 0)}).time.count() * 1e6 ==
        doctest::Approx(2410.2).epsilon(0.1));
}

TEST_CASE("no kernel beats the datasheet, and more tokens never take less time") {
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  Seconds before[5] = {};
  for (const int tokens : {1, 16, 128, 1024, 8192}) {
    const std::vector<BatchEntry> entries{prefill_entry(tokens, 0)};
    const std::vector<std::uint32_t> copies(8, static_cast<std::uint32_t>(tokens));
    const KernelCost parts[] = {costs.attention(5, entries), costs.router(tokens),
                                costs.expert_ffn(copies), costs.dense_ffn(0, tokens),
                                costs.head(tokens)};
    for (std::size_t i = 0; i < 5; ++i) {
      CAPTURE(i);
      CHECK(parts[i].time >= before[i]);
      CHECK(parts[i].time > parts[i].bytes / gpu.memory_bandwidth);
      CHECK(parts[i].time > parts[i].flops / gpu.peak.at("fp8"));
      before[i] = parts[i].time;
    }
  }
}

TEST_CASE("the contiguous layout pays for blocks, for sorting and for gathering") {
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  const auto flops = [&](std::uint32_t rows, int experts, ExpertLayout layout) {
    const std::vector<std::uint32_t> copies(static_cast<std::size_t>(experts), rows);
    return costs.expert_ffn(copies, layout).flops.value;
  };
  const double row = 6.0 * 7168 * 2048;
  // Few tokens of many experts: 32 x 128 rows computed for 32 tokens; 128 for the same in one.
  CHECK(flops(1, 32, ExpertLayout::contiguous) == 32 * 128 * row);
  CHECK(flops(32, 1, ExpertLayout::contiguous) == 128 * row);
  CHECK(flops(1, 32, ExpertLayout::masked) == 32 * 64 * row);
  const std::vector<std::uint32_t> copies(8, 4096);
  const KernelCost masked = costs.expert_ffn(copies, ExpertLayout::masked),
                   sorted = costs.expert_ffn(copies, ExpertLayout::contiguous);
  CHECK(sorted.bytes.value - masked.bytes.value == 8 * 4096 * 7168.0 * (2 + 2 * 2));
  CHECK(costs.layout_after("deepep_low_latency") == ExpertLayout::masked);
  CHECK(costs.layout_after("nccl_pairwise") == ExpertLayout::contiguous);
}

TEST_CASE("other hardware or precision makes a calibration a transferred one") {
  const MoeModel deepseek = load_model("deepseek-v3");
  const MoeModel mixtral = load_model("mixtral-8x7b");
  const std::vector<std::uint32_t> copies(4, 32);
  const Accelerator h800 = hopper("h800-sxm", 3.35e12), h100 = hopper("h100-sxm", 3.35e12),
                    b200 = hopper("b200-sxm", 7.7e12);
  const auto basis = [&](const MoeModel& model, const Accelerator& gpu) {
    return KernelCosts(model, gpu, {}, precision_of(model)).expert_ffn(copies).basis;
  };
  CHECK(basis(deepseek, h800) == Basis::calibrated);
  CHECK(basis(deepseek, h100) == Basis::transferred);
  CHECK(basis(deepseek, b200) == Basis::calibrated);
  CHECK(basis(mixtral, h800) == Basis::transferred);  // bf16 experts, fp8 calibration
  const KernelCosts costs(deepseek, h800, {}, precision_of(deepseek));
  CHECK(costs.embedding(16).basis == Basis::transferred);  // an H200's passes
  const KernelCosts blackwell(deepseek, b200, {}, precision_of(deepseek));
  CHECK(blackwell.embedding(16).basis == Basis::datasheet);
  // The norm, a transferred figure, takes less than a tenth of the layer's time.
  CHECK(costs.attention(0, decode_batch(128, 4096)).basis == Basis::calibrated);
}

TEST_CASE("an accelerator without a calibration takes its stand-in's, else the first") {
  const auto origin = [](const std::string& name) {
    return load_efficiencies(name).of("grouped_gemm_masked", "fp8").accelerator;
  };
  CHECK(origin("h200-sxm") == "h200-sxm");
  CHECK(origin("gb200") == "b200-sxm");
  CHECK(origin("unheard-of") == "h800-sxm");
}

TEST_CASE("fp8 weights compute in bf16 where the accelerator has no fp8") {
  const MoeModel model = load_model("deepseek-v3");
  Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const std::vector<std::uint32_t> copies(8, 4096);  // bound by compute
  const Seconds fp8 = KernelCosts(model, gpu, {}, precision_of(model)).expert_ffn(copies).time;
  gpu.peak.erase("fp8");
  const Seconds bf16 = KernelCosts(model, gpu, {}, precision_of(model)).expert_ffn(copies).time;
  CHECK(bf16 / fp8 > 1.7);  // the activation between takes as long
  CHECK(bf16 / fp8 < 1979.0 / 989);
  gpu.peak.erase("bf16");
  CHECK_THROWS_AS(KernelCosts(model, gpu, {}, precision_of(model)), InputError);
}

TEST_CASE("a model without a shared expert spends nothing on one") {
  const MoeModel model = load_model("mixtral-8x7b");
  const Accelerator gpu = hopper("h800-sxm", 3.35e12);
  const KernelCosts costs(model, gpu, {}, precision_of(model));
  CHECK(costs.shared_expert(128).time.count() == 0);
  CHECK(costs.attention(0, {}).time.count() == 0);
}
