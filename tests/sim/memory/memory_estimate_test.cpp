// The pools that engines make, what is admitted, and every proposal against the ledger it speaks
// of.
#include "sim/memory/memory_estimate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "sim/core/error.h"
#include "sim/memory/rank_memory.h"
#include "tests/sim/memory/served_fixture.h"

using namespace moesim;
using namespace moesim::test;
using namespace moesim::literals;

TEST_CASE("each engine's rule decides how large its pool is") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  const double memory = 80 * std::pow(2, 30), fraction = 0.85;
  const RuntimeMemory& constants = runtime_memory();
  const double shown = (1 - constants.driver_share) * memory,
               start = constants.context.value + constants.communicators.value,
               graphs = constants.graphs.value;
  for (const ServingEngine which :
       {ServingEngine::vllm, ServingEngine::sglang, ServingEngine::tensorrt_llm}) {
    EngineMemory rule = engine(which, fraction);
    rule.fragmentation = 0.02;
    const MemoryLedger ledger =
        ledger_of(model, served_plan(model, sizes(2, 1, 1), rule), Bytes(memory));
    const double held = weights_of(ledger, 0), steps = kind_of(ledger, 0, MemoryKind::activations);
    double pool = 0;
    if (which == ServingEngine::vllm)
      pool = fraction * shown - held - steps - constants.libraries.value;
    if (which == ServingEngine::sglang) pool = fraction * (shown - start) - held;
    if (which == ServingEngine::tensorrt_llm) pool = fraction * (shown - start - held - steps);
    REQUIRE(pool + held + steps + start + graphs < shown);
    CHECK(ledger.cache_room.value == doctest::Approx(0.98 * pool).epsilon(1e-12));
    CHECK(kind_of(ledger, 0, MemoryKind::fragmentation) ==
          doctest::Approx(0.02 * pool).epsilon(1e-9));
    CHECK(ledger.headroom.value == doctest::Approx(0.98 * pool).epsilon(1e-9));
    CHECK((ledger.headroom + ledger.ranks[0].total()).value ==
          doctest::Approx(memory).epsilon(1e-12));
  }
}

TEST_CASE("an engine does not promise memory that its graphs and activations need") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  const MemoryLedger ledger = ledger_of(
      model, served_plan(model, sizes(2, 1, 1), engine(ServingEngine::sglang, 1)), 80_GiB);
  const double taken = weights_of(ledger, 0) + kind_of(ledger, 0, MemoryKind::activations) +
                       kind_of(ledger, 0, MemoryKind::runtime);
  CHECK(ledger.cache_room.value == doctest::Approx((80_GiB).value - taken).epsilon(1e-12));
}

TEST_CASE("requests, contexts and redundant experts are the largest that fit") {
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = load_accelerator("h800-sxm");
  ServedLoad load;
  load.batch = 100;
  load.context = 4096;
  ServedSizes wanted = sizes(1, 32, 32);
  wanted.redundant_experts = 64;
  const ShardingPlan plan = served_plan(model, wanted, engine(ServingEngine::vllm));
  const MemoryEstimate estimate = estimate_memory(model, gpu, plan, load);
  const auto fits = [&](std::int64_t requests, std::int64_t context, int redundant) {
    ServedSizes now = wanted;
    now.redundant_experts = redundant;
    ServedLoad other = load;
    other.batch = requests;
    other.context = context;
    return estimate_memory(model, gpu, served_plan(model, now, plan.memory), other).ledger.fits;
  };
  REQUIRE(estimate.admitted.requests > 0);
  CHECK(fits(estimate.admitted.requests, 4096, 64));
  CHECK_FALSE(fits(estimate.admitted.requests + 1, 4096, 64));
  CHECK(fits(100, estimate.longest_of_requests, 64));
  CHECK_FALSE(fits(100, estimate.longest_of_requests + 1, 64));
  REQUIRE(estimate.most_redundant >= 0);
  CHECK(fits(100, 4096, static_cast<int>(estimate.most_redundant)));
  CHECK_FALSE(fits(100, 4096, static_cast<int>(estimate.most_redundant) + 32));
  CHECK(estimate.admitted.tokens / 4096 == estimate.admitted.requests);
}

TEST_CASE("an fp8 cache frees what half of the cache's bytes are") {
  const MoeModel model = load_model("deepseek-v3");
  const Accelerator gpu = load_accelerator("h200-sxm");
  ServedLoad load;
  load.batch = 80;
  const ShardingPlan plan = served_plan(model, sizes(1, 32, 32), engine(ServingEngine::vllm));
  const MemoryEstimate estimate = estimate_memory(model, gpu, plan, load);
  REQUIRE_FALSE(estimate.changes.empty());
  CHECK(estimate.changes[0].what == "fp8 KV cache");
  CHECK(estimate.changes[0].freed.value == doctest::Approx(80 * 4096 * 70272.0 / 2).epsilon(1e-9));
}

TEST_CASE("what the verdict proposes for an engine does fit") {
  const MoeModel model = load_model("qwen3-30b-a3b");
  const Accelerator gpu = load_accelerator("h100-sxm");
  const ShardingPlan plan = served_plan(model, sizes(1, 1, 1), engine(ServingEngine::vllm, 0.8));
  ServedLoad load;
  load.context = 8192;
  load.batch = estimate_memory(model, gpu, plan, load).requests + 1;
  const MemoryLedger over = estimate_memory(model, gpu, plan, load).ledger;
  CHECK_FALSE(over.fits);
  CHECK(over.breaking == MemoryKind::kv_cache);
  CHECK(over.verdict.find("an fp8 KV cache, which frees ") != std::string::npos);
  const std::string lead = "a memory fraction of ";
  REQUIRE(over.verdict.find(lead) != std::string::npos);
  const double fraction = std::stod(over.verdict.substr(over.verdict.find(lead) + lead.size()));
  const auto with = [&](double share, WeightFormat cache) {
    ShardingPlan changed = served_plan(model, sizes(1, 1, 1), engine(ServingEngine::vllm, share));
    changed.precision.kv_cache = cache;
    return estimate_memory(model, gpu, changed, load).ledger.fits;
  };
  CHECK(with(fraction, WeightFormat::bf16));
  CHECK_FALSE(with(fraction - 0.01, WeightFormat::bf16));
  CHECK(with(0.8, WeightFormat::fp8));
}

TEST_CASE("experts in host memory leave the GPU and cross PCIe where a token needs them") {
  const MoeModel model = load_model("mixtral-8x7b");
  const Accelerator gpu = load_accelerator("h100-sxm");
  ServedSizes wanted = sizes(1, 4, 4);  // two experts a rank
  const EngineMemory memory = engine(ServingEngine::vllm);
  ServedLoad load;
  load.batch = 1;
  const MemoryEstimate all = estimate_memory(model, gpu, served_plan(model, wanted, memory), load);
  wanted.resident_experts = load.resident_experts = 1;
  const MemoryEstimate one = estimate_memory(model, gpu, served_plan(model, wanted, memory), load);
  const double expert = 32 * 3 * 4096.0 * 14336 * 2;
  CHECK(all.host.of_layer == 0);
  CHECK(one.host.of_layer == 1);
  CHECK(one.host.bytes.value == expert);
  CHECK((one.ledger.headroom - all.ledger.headroom).value == doctest::Approx(expert).epsilon(1e-9));
  // Four tokens choose 2 of 8 experts each: one is missed by all with (3/4)^4.
  CHECK(one.host.misses == doctest::Approx(1 - std::pow(0.75, 4)));
  CHECK(one.host.transfers.count() == doctest::Approx(one.host.misses * expert / gpu.pcie.value));
}

namespace {

std::string refusal(const MoeModel& model, const ServedSizes& wanted) {
  try {
    served_plan(model, wanted, {});
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("sizes that do not divide are refused with those that do") {
  const MoeModel model = load_model("deepseek-v3");
  const auto says = [&](const ServedSizes& wanted, const std::string& part) {
    const std::string message = refusal(model, wanted);
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  };
  says(sizes(1, 32, 24), "these do: 1, 2, 4, 8, 16, 32");
  says(sizes(1, 24, 24), "8 redundant would make it");
  says(sizes(256, 1, 1), "1 to 128 ranks");
  says(sizes(1, 1, 1, 62), "has 61 layers");
  ServedSizes split = sizes(1, 8, 4);
  split.expert_tensor = 3;
  says(split, "these numbers of ranks an expert do: 1, 2");
  split = sizes(1, 2, 2);
  split.redundant_experts = 258;
  says(split, "with 256 each of the 2 ranks holds all 256");
}
