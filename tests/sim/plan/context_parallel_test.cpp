// Context parallelism by hand: bytes of its exchanges, work of its kernels, the cache a rank keeps.
#include "sim/plan/context_parallel.h"

#include <doctest/doctest.h>

#include "sim/cost/attention_parts.h"
#include "sim/memory/rank_memory.h"
#include "sim/replay/replay.h"
#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using namespace moesim::test;

namespace {

using doctest::Approx;

constexpr double kHeads = 16, kLatent = 512, kRope = 64;  // of deepseek-v2-lite

StepWorld latent_world(int tensor, int context, int stages = 1) {
  StepWorld world(StepCase{.expert_parallel = 16 / stages, .tensor = tensor, .pipeline = stages});
  world.model = load_model("deepseek-v2-lite");
  world.model.experts = 32;
  world.model.top_k = 4;
  world.plan.parallelism.context = context;
  return world;
}

std::vector<const Exchange*> exchanges_of(const StepGraph& graph, TaskKind kind, int layer) {
  std::vector<const Exchange*> found;
  for (const Task& task : graph.tasks)
    if (task.kind == kind && task.layer == layer)
      found.push_back(&graph.exchanges[static_cast<std::size_t>(task.exchange)]);
  return found;
}

MoeModel grouped(std::int64_t kv_heads) {
  MoeModel model;
  model.name = "grouped";
  model.experts = 32;
  LayerShape layer;
  layer.attention.heads = 64;
  layer.attention.kv_heads = kv_heads;
  layer.attention.head_dim = 128;
  model.layers = {layer, layer};
  return model;
}

void check(const MoeModel& model, int tensor, int context) {
  Parallelism sizes{16, 16, tensor};
  sizes.context = context;
  check_context(sizes, model);
}

const KernelWork& core_of(const std::vector<KernelWork>& works, const std::string& kernel) {
  for (const KernelWork& work : works)
    if (work.kernel == kernel) return work;
  throw CheckError("no such kernel");
}

}  // namespace

TEST_CASE("in decode queries are gathered and outputs with their log-sum-exp come back in parts") {
  const StepWorld world = latent_world(4, 2);
  const StepGraph graph = world.build();
  const double heads = kHeads / 4;
  for (const int layer : {0, 5, 26}) {
    const auto gather = exchanges_of(graph, TaskKind::context_gather, layer);
    const auto reduce = exchanges_of(graph, TaskKind::context_reduce, layer);
    REQUIRE(gather.size() == 1);
    REQUIRE(reduce.size() == 1);
    CHECK(gather[0]->group_ranks == 2);
    CHECK(reduce[0]->group_ranks == 2);
    for (std::size_t rank = 0; rank < 16; ++rank) {
      const auto tokens = static_cast<double>(world.batch.rows[rank / 4].size());
      CHECK(gather[0]->sent[rank].value == Approx(tokens * heads * (kLatent + kRope) * 2));
      CHECK(reduce[0]->sent[rank].value ==
            Approx(tokens * (heads * kLatent * 2 + 2 * heads * 4)));  // sums of 2 x heads, f32
    }
  }
  const StepGraph plain = latent_world(4, 1).build();
  CHECK(exchanges_of(plain, TaskKind::context_gather, 5).empty());
}

TEST_CASE("in prefill the cached context alone is gathered") {
  StepWorld world = latent_world(4, 4);
  for (std::size_t group = 0; group < world.batch.by_rank.size(); ++group) {
    const auto tokens = static_cast<int>(world.batch.rows[group].size());
    world.batch.by_rank[group].assign(1, {0, Phase::prefill, tokens, 0});
  }
  CHECK(exchanges_of(world.build(), TaskKind::context_gather, 5).empty());
  for (auto& entries : world.batch.by_rank) entries[0].context = 1001;
  const StepGraph graph = world.build();
  CHECK(exchanges_of(graph, TaskKind::context_reduce, 5).empty());
  const auto gather = exchanges_of(graph, TaskKind::context_gather, 5);
  REQUIRE(gather.size() == 1);
  const double row = (kLatent + kRope) * 2;
  for (std::size_t rank = 0; rank < 16; ++rank) {
    const double held = rank % 4 == 0 ? 251 : 250;  // 1001 dealt over 4
    CHECK(gather[0]->sent[rank].value == Approx(3 * held * row));
    CHECK(gather[0]->received[rank].value == Approx((1001 - held) * row));
  }
}

TEST_CASE("a rank attends with all heads of its group to its part: as many FLOPs, fewer reads") {
  AttentionShape latent = load_model("deepseek-v2-lite").layers[1].attention;
  AttentionShape group = grouped(2).layers[0].attention;
  const std::vector<BatchEntry> decode(3, {0, Phase::decode, 1, 4095});
  const std::vector<BatchEntry> prefill(1, {0, Phase::prefill, 64, 4096});
  for (const auto& [shape, heads, kernel] :
       {std::tuple(latent, std::int64_t{4}, "attention_decode_mla"),
        std::tuple(group, std::int64_t{8}, "attention_decode_gqa")}) {
    AttentionInputs inputs{shape, 2048, heads, 1, WeightFormat::bf16, "bf16"};
    const KernelWork alone = core_of(attention_work(inputs, decode), kernel);
    const auto whole_prefill = attention_work(inputs, prefill);
    inputs.context_ranks = 4;
    const KernelWork shared = core_of(attention_work(inputs, decode), kernel);
    const bool is_latent = shape.kind == AttentionKind::latent;
    const double query = is_latent ? kLatent + kRope : 128, value = is_latent ? kLatent : 128;
    const double cached = is_latent ? query : query + value;
    CHECK(shared.flops.value == Approx(alone.flops.value));
    // 3 x 4096 cached tokens a quarter each; queries and outputs of 4 x heads, read and written.
    const double io = 2 * 3 * (4 * static_cast<double>(heads) * (query + value) + cached);
    CHECK(shared.bytes.value == Approx(3 * 1024 * cached * 2 + io));
    const auto prefill_shared = attention_work(inputs, prefill);
    REQUIRE(prefill_shared.size() == whole_prefill.size());
    for (std::size_t i = 0; i < whole_prefill.size(); ++i) {
      CHECK(prefill_shared[i].flops.value == whole_prefill[i].flops.value);
      CHECK(prefill_shared[i].bytes.value == whole_prefill[i].bytes.value);
    }
  }
}

TEST_CASE("each rank keeps its part of the cache") {
  for (const auto& [model, tensor] :
       {std::pair(load_model("deepseek-v3"), 8), std::pair(grouped(2), 8)}) {
    ShardingPlan plan;
    plan.parallelism = {8, 8, tensor};
    const double whole = request_cache_bytes(model, plan, 4096).value;
    for (const int context : {2, 4}) {
      plan.parallelism.context = context;
      CHECK(request_cache_bytes(model, plan, 4096).value == Approx(whole / context));
    }
    // 4097 tokens over 4: the rank with one more has 1025.
    CHECK(request_cache_bytes(model, plan, 4097).value == Approx(whole / 4096 * 1025));
    plan.memory.page_tokens = 64;
    CHECK(request_cache_bytes(model, plan, 4097).value == Approx(whole / 4096 * 1088));
  }
}

TEST_CASE("a step with context parallelism keeps every law, also in a pipeline") {
  for (const int stages : {1, 2}) {
    for (const char* overlap : {"none", "two_batch"}) {
      CAPTURE(stages);
      CAPTURE(overlap);
      StepWorld world = latent_world(4, 2, stages);
      world.plan.overlap = overlap;
      const StepGraph graph = world.build(2, true, true);
      double flows = 0;
      for (const Fidelity fidelity : {Fidelity::flows, Fidelity::links, Fidelity::bound}) {
        const Timeline timeline = replay(graph, world.cluster, fidelity);
        CHECK(check_step(graph, timeline, world.cluster).passed.size() >= 4);
        if (fidelity == Fidelity::flows) flows = timeline.makespan.count();
        if (fidelity == Fidelity::links)
          CHECK(timeline.makespan.count() == Approx(flows).epsilon(0.03));
      }
    }
  }
}

TEST_CASE("context parallelism is refused where it saves nothing or no rule is known") {
  CHECK_NOTHROW(check(load_model("deepseek-v3"), 8, 8));
  CHECK_NOTHROW(check(grouped(4), 16, 4));
  CHECK_NOTHROW(check(grouped(4), 16, 2));
  CHECK_THROWS_WITH_AS(check(load_model("deepseek-v3"), 8, 3),
                       "plan.context_parallel: 3 does not divide tensor_parallel 8, whose ranks it "
                       "takes",
                       InputError);
  CHECK_THROWS_WITH_AS(check(grouped(8), 8, 2),
                       "plan.context_parallel: 2 saves nothing with tensor_parallel 8: each of the "
                       "8 key-value heads is on one rank only; copies of them begin above "
                       "tensor_parallel 8",
                       InputError);
  CHECK_THROWS_WITH_AS(check(grouped(8), 16, 4),
                       "plan.context_parallel: 4 does not divide the 2 ranks of a group of "
                       "tensor_parallel 16 that hold the same of 8 key-value heads",
                       InputError);
  CHECK_THROWS_WITH_AS(
      check(load_model("gpt-oss-20b"), 16, 2),
      "plan.context_parallel: 2 with gpt-oss-20b: gpt-oss-20b has attention within "
      "a window, which is simulated with 1 only",
      InputError);
}
