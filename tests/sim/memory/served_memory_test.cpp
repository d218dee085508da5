// Weights and caches of engines' plans against closed forms written out here.
#include <doctest/doctest.h>

#include <string>

#include "sim/memory/memory_estimate.h"
#include "sim/memory/rank_memory.h"
#include "tests/sim/memory/served_fixture.h"

using namespace moesim;
using namespace moesim::test;
using namespace moesim::literals;

TEST_CASE("a request's cache is the published bytes a token") {
  const auto bytes = [](const char* name, int tensor, WeightFormat format) {
    const MoeModel model = load_model(name);
    ShardingPlan plan = served_plan(model, sizes(tensor, 1, 1), {});
    plan.precision.kv_cache = format;
    return request_cache_bytes(model, plan, 1000).value / 1000;
  };
  CHECK(bytes("deepseek-v3", 1, WeightFormat::bf16) == 70272);
  CHECK(bytes("deepseek-v3", 8, WeightFormat::bf16) == 70272);  // the latent is not split
  CHECK(bytes("deepseek-v3", 8, WeightFormat::fp8) == 70272 / 2);
  CHECK(bytes("mixtral-8x7b", 1, WeightFormat::bf16) == 131072);
  CHECK(bytes("qwen3-235b-a22b", 4, WeightFormat::bf16) == 48128);
  CHECK(bytes("qwen3-235b-a22b", 8, WeightFormat::bf16) == 48128);  // 4 KV heads, one a rank
  // FlashMLA's entry of sparse attention, 512 + 4 x 4 + 64 x 2, and an index key of 128 + 4.
  CHECK(bytes("deepseek-v3.2", 1, WeightFormat::fp8) == 61 * (656 + 132));
  CHECK(bytes("deepseek-v3.2", 1, WeightFormat::bf16) == 61 * (576 + 128) * 2);
}

TEST_CASE("windows and states bound what a request keeps") {
  const MoeModel gpt_oss = load_model("gpt-oss-20b");  // 12 layers of 128 tokens, 12 of all
  const ShardingPlan plan = served_plan(gpt_oss, sizes(1, 1, 1), {});
  CHECK(request_cache_bytes(gpt_oss, plan, 5000).value == 12 * (5000.0 + 128) * 2 * 8 * 64 * 2);
  CHECK(request_cache_bytes(gpt_oss, plan, 100).value == 24 * 100.0 * 2 * 8 * 64 * 2);
  const MoeModel hybrid = load_model("qwen3-next-80b-a3b");  // 36 layers with a state, 12 attend
  const double state = 32 * 128 * 128 * 4.0 + 3 * (2 * 16 * 128 + 32 * 128) * 2.0;
  CHECK(request_cache_bytes(hybrid, served_plan(hybrid, sizes(1, 1, 1), {}), 777).value ==
        36 * state + 777.0 * 12 * 2 * 512 * 2);
}

TEST_CASE("a request takes whole pages in every layer") {
  const MoeModel model = load_model("gpt-oss-20b");
  EngineMemory memory;
  memory.page_tokens = 64;
  const ShardingPlan plan = served_plan(model, sizes(1, 1, 1), memory);
  const double token = 2 * 8 * 64 * 2.0;
  CHECK(request_cache_bytes(model, plan, 1).value == 24 * 64 * token);
  CHECK(request_cache_bytes(model, plan, 65).value == 24 * 128 * token);
  CHECK(request_cache_bytes(model, plan, 1000).value == 12 * (1024 + 128) * token);
}

TEST_CASE("low-latency buffers of 256 experts and 128 tokens are 1.88 GB") {
  const MoeModel model = load_model("deepseek-v3");
  const ShardingPlan plan = served_plan(model, sizes(1, 32, 32), {});
  ServedLoad load;
  load.all_to_all = "deepep_low_latency";
  const Accelerator gpu = load_accelerator("h800-sxm");
  const double rows = 256.0 * 128;
  CHECK(served_buffers(model, gpu, plan, load).value ==
        2 * (rows * 14336 + rows * (16 + 14336)) + 2 * 4 * 256);
  CHECK(served_buffers(model, gpu, plan, load).value == doctest::Approx(1.88e9).epsilon(0.001));
  load.all_to_all.clear();
  CHECK(served_buffers(model, gpu, plan, load).value == 0);
}

TEST_CASE("files of a checkpoint hold every weight in its format") {
  // Sizes of the matrices are those of the configurations.
  const MoeModel deepseek = load_model("deepseek-v3");
  const double attention = 7168.0 * 1536 + 1536.0 * 128 * 192 + 7168.0 * 576 + 512.0 * 128 * 256 +
                           128.0 * 128 * 7168,
               expert = 3 * 7168.0 * 2048, dense = 3 * 7168.0 * 18432, embedding = 129280.0 * 7168,
               norms = 2 * 7168.0 + 1536 + 512, router = 7168.0 * 256 + 256,
               scaled = 1 + 4.0 / (128 * 128);
  const double layer = attention + 257 * expert;
  // 58 layers of experts and the module's, which also joins two inputs and has norms, an embedding
  // and a head of its own.
  const double matrices = 59 * layer + 3 * (attention + dense),
               plain =
                   4 * embedding + 62 * norms + 59 * router + 7168 + 3 * 7168.0 + 2 * 7168.0 * 7168;
  ShardingPlan plan = served_plan(deepseek, sizes(1, 1, 1), {});
  const double file = checkpoint_bytes(deepseek, plan.precision).value;
  CHECK(file == doctest::Approx(matrices * scaled + 2 * plain).epsilon(1e-12));
  CHECK(file == doctest::Approx(688.6e9).epsilon(0.0002));  // as it is published

  const MoeModel gpt_oss = load_model("gpt-oss-120b");
  plan = served_plan(gpt_oss, sizes(1, 1, 1), {});
  const double packed = 36.0 * 128 * 3 * 2880 * 2880 * 4.25 / 8,
               biases = 36.0 * 128 * (2 * 2880 + 2880),
               rest = static_cast<double>(count_parameters(gpt_oss).total) -
                      36.0 * 128 * 3 * 2880 * 2880 - biases;
  CHECK(checkpoint_bytes(gpt_oss, plan.precision).value ==
        doctest::Approx(packed + 2 * (biases + rest)).epsilon(1e-12));
}

TEST_CASE("without experts dealt out, all ranks together hold each expert once") {
  for (const std::string& name : model_names()) {
    const MoeModel model = load_model(name);
    const double all = static_cast<double>(model.moe_layers().size() * model.experts) *
                       expert_bytes(model, served_plan(model, sizes(1, 1, 1), {})).value;
    for (const int ranks : {2, 4, 8}) {
      if (model.expert_width % ranks != 0 || model.expert_bias) continue;
      CAPTURE(name);
      CAPTURE(ranks);
      const auto routed = [&](const ServedSizes& wanted) {
        const MemoryLedger ledger = ledger_of(model, served_plan(model, wanted, {}));
        double sum = 0;
        for (std::size_t rank = 0; rank < ledger.ranks.size(); ++rank)
          sum += kind_of(ledger, rank, MemoryKind::routed_experts);
        return sum;
      };
      if (model.layers.back().attention.heads >= ranks)
        CHECK(routed(sizes(ranks, 1, 1)) == doctest::Approx(all).epsilon(1e-12));
      if (model.experts % ranks == 0)
        CHECK(routed(sizes(1, ranks, ranks)) == doctest::Approx(all).epsilon(1e-12));
      CHECK(routed(sizes(1, ranks, 1)) == doctest::Approx(all).epsilon(1e-12));
    }
  }
}

TEST_CASE("the stages of a pipeline hold the model once") {
  const MoeModel model = load_model("deepseek-v3");
  const double whole = weights_of(ledger_of(model, served_plan(model, sizes(1, 1, 1), {})), 0);
  for (const int stages : {2, 3, 4, 61}) {
    CAPTURE(stages);
    const ShardingPlan plan = served_plan(model, sizes(1, 1, 1, stages), {});
    const MemoryLedger ledger = ledger_of(model, plan);
    double sum = 0, cache = 0;
    std::size_t layers = 0;
    for (int stage = 0; stage < stages; ++stage) {
      sum += weights_of(ledger, static_cast<std::size_t>(stage));
      cache += request_cache_bytes(model, plan, 100, stage).value;
      const StageLayers held = stage_layers(model, plan.parallelism, stage);
      CHECK(held.first == layers);
      layers = held.last;
    }
    CHECK(layers == 61);
    CHECK(sum == doctest::Approx(whole).epsilon(1e-12));
    CHECK(cache == 100 * 70272.0);
  }
  // 61 layers over 4 stages: the one left over goes before the last stage, which has the head.
  const Parallelism ranks = served_plan(model, sizes(1, 1, 1, 4), {}).parallelism;
  CHECK(stage_layers(model, ranks, 2).last - stage_layers(model, ranks, 2).first == 16);
  CHECK(stage_layers(model, ranks, 3).last - stage_layers(model, ranks, 3).first == 15);
}

TEST_CASE("an engine folds latent projections and pads mxfp4 experts") {
  const MoeModel deepseek = load_model("deepseek-v3");
  const auto dense = [&](ServingEngine which) {
    return dense_weight_bytes(deepseek, served_plan(deepseek, sizes(8, 1, 8), engine(which))).value;
  };
  const double dense_parts = 3 * 3 * 7168.0 * 18432 * bytes_per_weight(WeightFormat::fp8);
  CHECK(dense(ServingEngine::vllm) - dense(ServingEngine::none) ==
        doctest::Approx(61 * 512.0 * 16 * 256 * 2 - dense_parts * 7 / 8).epsilon(1e-12));
  const MoeModel gpt_oss = load_model("gpt-oss-120b");
  const auto one = [&](ServingEngine which) {
    return expert_bytes(gpt_oss, served_plan(gpt_oss, sizes(1, 1, 1), engine(which))).value;
  };
  CHECK(one(ServingEngine::none) == 3 * 2880.0 * 2880 * 4.25 / 8 + 2 * (3 * 2880.0));
  CHECK(one(ServingEngine::vllm) == 3 * 2880.0 * 3072 * 4.25 / 8 + 2 * (2 * 2880.0 + 3072));
}

TEST_CASE("the prediction module is a layer with two inputs joined") {
  const MoeModel model = load_model("deepseek-v3");
  const double attention = 7168.0 * 1536 + 1536.0 * 128 * 192 + 7168.0 * 576 + 512.0 * 128 * 256 +
                           128.0 * 128 * 7168,
               experts = 257 * 3 * 7168.0 * 2048,
               plain =
                   2 * 7168.0 + 1536 + 512 + 7168.0 * 256 + 256 + 3 * 7168.0 + 2 * 7168.0 * 7168;
  const ShardingPlan plan = served_plan(model, sizes(1, 1, 1), {});
  CHECK(mtp_weight_bytes(model, plan).value ==
        doctest::Approx((attention + experts) * bytes_per_weight(WeightFormat::fp8) + 2 * plain)
            .epsilon(1e-12));
  EngineMemory with;
  with.mtp = true;
  const MemoryLedger ledger = ledger_of(model, served_plan(model, sizes(1, 8, 8, 2), with));
  CHECK(kind_of(ledger, 0, MemoryKind::mtp_weights) == 0);  // the last stage's alone
  CHECK(kind_of(ledger, 8, MemoryKind::mtp_weights) > 0);
  CHECK(mtp_weight_bytes(load_model("mixtral-8x7b"), plan).value == 0);
}
