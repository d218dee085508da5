// Bytes by kind against arithmetic on shapes, and the verdict's numbers against the ledger itself.
#include "sim/memory/memory_ledger.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/memory/rank_memory.h"

using namespace moesim;
using namespace moesim::literals;

namespace {

// Slots in order over the ranks; redundant ones repeat expert 0, 1, ... at the end.
ShardingPlan contiguous_plan(const MoeModel& model, const Parallelism& parallelism, int redundant) {
  ShardingPlan plan;
  plan.parallelism = parallelism;
  plan.redundant_experts = redundant;
  plan.precision.experts = model.expert_format;
  plan.precision.dense = model.dense_format;
  Placement placement;
  const int slots = static_cast<int>(model.experts) + redundant;
  for (int slot = 0; slot < slots; ++slot) {
    placement.replica_of.push_back(
        static_cast<LogicalExpert>(slot % static_cast<int>(model.experts)));
    placement.rank_of.push_back(static_cast<Rank>(slot / (slots / parallelism.expert)));
  }
  plan.placement = {placement};
  return plan;
}

Batch decode_batch(int dp_ranks, int requests, int context) {
  BatchEntry entry;
  entry.context = context;
  Batch batch;
  batch.by_rank.assign(static_cast<std::size_t>(dp_ranks),
                       std::vector<BatchEntry>(static_cast<std::size_t>(requests), entry));
  return batch;
}

std::vector<GpuMemory> with_memory(Bytes memory) { return {{"a GPU", memory}}; }

double kind_of(const MemoryLedger& ledger, std::size_t rank, MemoryKind kind) {
  return ledger.ranks.at(rank).by_kind.at(static_cast<std::size_t>(kind)).value;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("one rank holds every weight of the model once") {
  for (const char* name : {"mixtral-8x7b", "olmoe-1b-7b", "qwen3-30b-a3b", "phi-3.5-moe",
                           "granite-3.0-1b-a400m", "glm-4.5-air"}) {
    CAPTURE(name);
    const MoeModel model = load_model(name);
    const ShardingPlan plan = contiguous_plan(model, {1, 1, 1}, 0);
    const MemoryLedger ledger = build_ledger(model, with_memory(999_GiB), plan, {}, 0_B);
    const double weights = kind_of(ledger, 0, MemoryKind::dense_weights) +
                           kind_of(ledger, 0, MemoryKind::shared_experts) +
                           kind_of(ledger, 0, MemoryKind::routed_experts);
    CHECK(weights == 2.0 * static_cast<double>(count_parameters(model).total));  // bf16
    CHECK(kind_of(ledger, 0, MemoryKind::redundant_experts) == 0);
    CHECK(kind_of(ledger, 0, MemoryKind::kv_cache) == 0);
  }
}

TEST_CASE("quantised matrices take their format, embedding, head, norms and router stay bf16") {
  const MoeModel model = load_model("deepseek-v3");
  const ShardingPlan plan = contiguous_plan(model, {8, 8, 1}, 0);
  const MemoryLedger ledger = build_ledger(model, with_memory(999_GiB), plan, {}, 0_B);
  const double fp8 = bytes_per_weight(WeightFormat::fp8);
  CHECK(kind_of(ledger, 0, MemoryKind::routed_experts) == 58 * (256 / 8) * 44040192.0 * fp8);
  CHECK(kind_of(ledger, 7, MemoryKind::shared_experts) == 58 * 44040192.0 * fp8);
  const double query = 7168.0 * 1536 + 1536.0 * 128 * 192, cache = 7168.0 * 576,
               expand = 512.0 * 128 * 256, output = 128.0 * 128 * 7168;
  const double matrices = 61 * (query + cache + expand + output) + 3 * 3 * 7168.0 * 18432;
  const double plain =
      2 * 129280.0 * 7168 + 61 * (2 * 7168.0 + 1536 + 512) + 7168 + 58 * (7168.0 * 256 + 256);
  CHECK(kind_of(ledger, 3, MemoryKind::dense_weights) ==
        doctest::Approx(matrices * fp8 + plain * 2).epsilon(1e-12));
}

TEST_CASE("tensor parallelism splits heads and vocabulary and repeats latent projections") {
  const MoeModel mixtral = load_model("mixtral-8x7b");
  const auto dense = [](const MoeModel& model, int tensor) {
    return dense_weight_bytes(model, contiguous_plan(model, {8, 8, tensor}, 0)).value;
  };
  const double split = 2.0 * 32000 * 4096 + 32 * (4096.0 * 48 * 128 + 4096.0 * 4096);
  CHECK(dense(mixtral, 1) - dense(mixtral, 8) == 2 * split * 7 / 8);
  // 4 KV heads do not split 8 ways: every rank keeps one.
  const MoeModel qwen = load_model("qwen3-235b-a22b");
  const double query = 94 * 2 * 4096.0 * 64 * 128, vocabulary = 2 * 151936.0 * 4096;
  CHECK(dense(qwen, 4) - dense(qwen, 8) == 2 * (query + vocabulary) / 8);
  const MoeModel deepseek = load_model("deepseek-v3");
  const double latent = 61 * 7168.0 * (1536 + 576) * bytes_per_weight(WeightFormat::fp8);
  CHECK(dense(deepseek, 128) > latent);
}

TEST_CASE("a second replica on any rank counts as redundant") {
  const MoeModel model = load_model("mixtral-8x7b");               // 8 experts
  const ShardingPlan plan = contiguous_plan(model, {8, 4, 1}, 4);  // 3 slots a rank, 2 EP groups
  const MemoryLedger ledger = build_ledger(model, with_memory(999_GiB), plan, {}, 0_B);
  const double expert = 32 * 176160768.0 * 2;
  const std::vector<double> first{3, 3, 2, 0, 3, 3, 2, 0};
  for (std::size_t rank = 0; rank < 8; ++rank) {
    CAPTURE(rank);
    CHECK(kind_of(ledger, rank, MemoryKind::routed_experts) == first[rank] * expert);
    CHECK(kind_of(ledger, rank, MemoryKind::redundant_experts) == (3 - first[rank]) * expert);
  }
}

TEST_CASE("trace layers repeat over the model's MoE layers") {
  MoeModel model = load_model("mixtral-8x7b");
  model.layers.resize(5);
  ShardingPlan plan = contiguous_plan(model, {2, 2, 1}, 0);
  Placement crowded = plan.placement[0];  // a second trace layer with expert 0 twice on rank 0
  crowded.replica_of = {LogicalExpert{0}, LogicalExpert{0}, LogicalExpert{1}, LogicalExpert{2}};
  crowded.rank_of = {Rank{0}, Rank{0}, Rank{1}, Rank{1}};
  plan.placement.push_back(crowded);
  // Layers 0, 2, 4 use the first placement (4 experts a rank), 1 and 3 the second.
  const auto slots = count_slots(model, plan);
  CHECK(slots[0].first == 3 * 4 + 2 * 1);
  CHECK(slots[0].redundant == 2 * 1);
  CHECK(slots[1].first == 3 * 4 + 2 * 2);
}

TEST_CASE("the cache holds context and new tokens, at most a window in windowed layers") {
  const MoeModel deepseek = load_model("deepseek-v3");
  const ShardingPlan plan = contiguous_plan(deepseek, {8, 8, 1}, 0);
  const WorkingSet set = working_set(deepseek, plan, decode_batch(1, 16, 999).by_rank[0]);
  CHECK(set.kv_cache.value == 16 * 1000 * 70272.0);
  ShardingPlan small = plan;
  small.precision.kv_cache = WeightFormat::fp8;
  CHECK(working_set(deepseek, small, decode_batch(1, 16, 999).by_rank[0]).kv_cache.value ==
        16 * 1000 * 70272.0 / 2);

  const MoeModel gpt_oss = load_model("gpt-oss-20b");  // 12 layers of 128 tokens, 12 of all
  const ShardingPlan windows = contiguous_plan(gpt_oss, {8, 8, 1}, 0);
  CHECK(working_set(gpt_oss, windows, decode_batch(1, 1, 999).by_rank[0]).kv_cache.value ==
        12 * (1000.0 + 128) * 2 * 8 * 64 * 2);
}

TEST_CASE("activations are the residual stream and the largest part beside it") {
  MoeModel model = load_model("deepseek-v3");
  model.vocabulary = 32000;  // logits of 128 tokens: 16 MB, less than attention's 42 MB
  const ShardingPlan plan = contiguous_plan(model, {8, 8, 1}, 0);
  const double residual = 2 * 2.0 * 128 * 7168;
  // Decode: queries by head (192), and query and output in the latent space (576, 512), 128 heads.
  const double attention = 2.0 * 128 * 128 * (192 + 576 + 512);
  CHECK(working_set(model, plan, decode_batch(1, 128, 0).by_rank[0]).activations.value ==
        residual + attention);
  // One request leaves the logits the largest.
  MoeModel wide = model;
  wide.vocabulary = 1 << 24;
  CHECK(working_set(wide, plan, decode_batch(1, 1, 0).by_rank[0]).activations.value ==
        2 * 2.0 * 7168 + 4.0 * (1 << 24));
}

TEST_CASE("after attention a rank of a tensor-parallel group works on its share of the tokens") {
  const MoeModel model = load_model("mixtral-8x7b");
  BatchEntry prompt;
  prompt.phase = Phase::prefill;
  prompt.new_tokens = 1024;
  // Residual and norm of all tokens; an eighth of them at 2 experts x 3 x 14336 bf16 values.
  CHECK(working_set(model, contiguous_plan(model, {8, 8, 8}, 0), {prompt}).activations.value ==
        2 * 2.0 * 1024 * 4096 + 1024 / 8 * 2.0 * 2 * 3 * 14336);
}

TEST_CASE("the ledger takes each rank's largest batch and sums to its kinds") {
  const MoeModel model = load_model("mixtral-8x7b");
  const ShardingPlan plan = contiguous_plan(model, {8, 8, 2}, 0);
  Batch uneven = decode_batch(4, 8, 1023);
  uneven.by_rank[2].push_back(uneven.by_rank[2].front());
  const MemoryLedger ledger =
      build_ledger(model, with_memory(80_GiB), plan, {decode_batch(4, 4, 1023), uneven}, 5_MiB);
  const double cache = 131072.0 / 2 * 1024;  // 4 of 8 KV heads a rank
  CHECK(kind_of(ledger, 1, MemoryKind::kv_cache) == 8 * cache);
  CHECK(kind_of(ledger, 4, MemoryKind::kv_cache) == 9 * cache);
  CHECK(kind_of(ledger, 5, MemoryKind::kv_cache) == 9 * cache);
  CHECK(kind_of(ledger, 0, MemoryKind::exchange_buffers) == 5 * 1048576.0);
  CHECK(ledger.worst_rank == 4);
  CHECK(ledger.fits);
  CHECK((ledger.headroom + ledger.ranks[4].total()).value == ledger.capacity.value);
  CHECK(has(ledger.verdict, "fits: rank 4 is the fullest"));
}

TEST_CASE("too many requests: the verdict names cache, rank and the number that fits") {
  const MoeModel model = load_model("mixtral-8x7b");
  const ShardingPlan plan = contiguous_plan(model, {8, 8, 1}, 0);
  const std::vector<GpuMemory> gpu = with_memory(80_GiB);
  Batch batch = decode_batch(8, 8, 32767);
  batch.by_rank[5] = decode_batch(1, 64, 32767).by_rank[0];  // 64 x 4 GiB
  const MemoryLedger ledger = build_ledger(model, gpu, plan, {batch}, 0_B);
  CHECK_FALSE(ledger.fits);
  CHECK(ledger.worst_rank == 5);
  CHECK(ledger.breaking == MemoryKind::kv_cache);
  CHECK(has(ledger.verdict, "does not fit: rank 5"));
  CHECK(has(ledger.verdict, "KV cache"));
  const std::string lead = "at most ";
  REQUIRE(has(ledger.verdict, lead));
  const int fitting = std::stoi(ledger.verdict.substr(ledger.verdict.find(lead) + lead.size()));
  batch.by_rank[5].resize(static_cast<std::size_t>(fitting));
  CHECK(build_ledger(model, gpu, plan, {batch}, 0_B).fits);
  batch.by_rank[5].push_back(batch.by_rank[5].front());
  CHECK_FALSE(build_ledger(model, gpu, plan, {batch}, 0_B).fits);
}

TEST_CASE("too many experts: the verdict proposes fewer replicas or larger EP groups that do fit") {
  const MoeModel model = load_model("deepseek-v3");
  const std::vector<GpuMemory> gpu = with_memory(80_GiB);
  // 18 slots a rank x 58 layers x 44 MB = 42.8 GiB fit; 36 do not.
  const Batch batch = decode_batch(8, 16, 1023);
  const MemoryLedger ledger =
      build_ledger(model, gpu, contiguous_plan(model, {8, 8, 1}, 32), {batch}, 0_B);
  CHECK_FALSE(ledger.fits);
  CHECK(ledger.breaking == MemoryKind::routed_experts);
  const std::string lead = "expert parallelism ";
  REQUIRE(has(ledger.verdict, lead));
  const int wider = std::stoi(ledger.verdict.substr(ledger.verdict.find(lead) + lead.size()));
  const auto at = [&](int ranks) {
    return build_ledger(model, gpu, contiguous_plan(model, {ranks, ranks, 1}, 32),
                        {decode_batch(ranks, 16, 1023)}, 0_B);
  };
  CHECK(at(wider).fits);
  for (int ranks = 9; ranks < wider; ++ranks) {
    if ((256 + 32) % ranks == 0) CHECK_FALSE(at(ranks).fits);
  }
  CHECK_FALSE(has(ledger.verdict, "redundant experts in place"));  // none would not be enough
}

TEST_CASE("larger EP groups divide the ranks there are, or say how many they need") {
  const MoeModel model = load_model("deepseek-v3");
  const auto verdict = [&](const Parallelism& parallelism) {
    return build_ledger(model, with_memory(160_GiB), contiguous_plan(model, parallelism, 32),
                        {decode_batch(parallelism.data(), 16, 1023)}, 0_B)
        .verdict;
  };
  // 72 slots of 2.4 GiB do not fit, 48 do, but six ranks are no part of 16.
  CHECK(has(verdict({16, 4, 1}), "expert parallelism 8 in place of 4 with"));
  CHECK(has(verdict({4, 4, 1}), "expert parallelism 6 in place of 4 on 6 GPUs with"));
  CHECK(has(verdict({4, 4, 4}), "expert parallelism 8 in place of 4 on 8 GPUs with"));
}

TEST_CASE("redundant experts that do not fit are named with the number that does") {
  const MoeModel model = load_model("deepseek-v3");
  const std::vector<GpuMemory> gpu = with_memory(80_GiB);
  const Batch batch = decode_batch(16, 16, 1023);
  const auto ledger_of = [&](int redundant) {
    return build_ledger(model, gpu, contiguous_plan(model, {16, 16, 1}, redundant), {batch}, 0_B);
  };
  const MemoryLedger ledger = ledger_of(256);
  CHECK_FALSE(ledger.fits);
  const std::string tail = " redundant experts in place of 256";
  REQUIRE(has(ledger.verdict, tail));
  const std::size_t end = ledger.verdict.find(tail), begin = ledger.verdict.rfind(' ', end - 1) + 1;
  const int fitting = std::stoi(ledger.verdict.substr(begin, end - begin));
  CHECK(ledger_of(fitting).fits);
  CHECK_FALSE(ledger_of(fitting + 16).fits);  // one slot more a rank
}

TEST_CASE("where GPUs differ the one with least room decides, and the verdict names it") {
  const MoeModel model = load_model("mixtral-8x7b");
  const ShardingPlan plan = contiguous_plan(model, {4, 4, 1}, 0);
  Batch batch = decode_batch(4, 8, 1023);
  batch.by_rank[0] = decode_batch(1, 16, 1023).by_rank[0];  // the fullest, on a large GPU
  std::vector<GpuMemory> gpus{{"large", 141_GiB}, {"large", 141_GiB}, {"small", 80_GiB}};
  gpus.push_back(gpus.back());
  const MemoryLedger ledger = build_ledger(model, gpus, plan, {batch}, 0_B);
  CHECK(ledger.ranks[0].total() > ledger.ranks[2].total());
  CHECK(ledger.worst_rank == 2);
  CHECK(ledger.capacity == 80_GiB);
  CHECK(ledger.headroom == 80_GiB - ledger.ranks[2].total());
  CHECK(has(ledger.verdict, "fits: rank 2 (small) is the fullest"));
  batch.by_rank[3] = decode_batch(1, 8, 99999).by_rank[0];
  const MemoryLedger over = build_ledger(model, gpus, plan, {batch}, 0_B);
  CHECK_FALSE(over.fits);
  CHECK(has(over.verdict, "does not fit: rank 3 (small) needs"));
}

TEST_CASE("when nothing helps the verdict says so") {
  const MoeModel model = load_model("mixtral-8x7b");
  const MemoryLedger ledger =
      build_ledger(model, with_memory(1_GiB), contiguous_plan(model, {8, 8, 1}, 0), {}, 0_B);
  CHECK_FALSE(ledger.fits);
  CHECK(ledger.breaking == MemoryKind::dense_weights);
  CHECK(has(ledger.verdict, "neither fewer requests"));
}
