// The step of a pipeline against steps of its stages alone: a pool of one stage's ranks, one
// micro-batch at a time, of which the stage's layers are counted.
#include "sim/plan/pipeline_step.h"

#include <doctest/doctest.h>

#include <map>

#include "sim/plan/micro_batches.h"
#include "sim/plan/stages.h"
#include "tests/sim/plan/loads_by_layer.h"
#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using namespace moesim::test;

namespace {

using doctest::Approx;

// Two nodes of eight ranks, a stage each; a stage alone is one node.
constexpr StepCase kPiped{.expert_parallel = 8, .pipeline = 2},
    kStage{.nodes = 1, .expert_parallel = 8};

struct Amounts {  // of one rank: s, and bytes of exchanges
  double kernels = 0, sent = 0, received = 0, kept = 0;

  void add(const StepGraph& graph, const Task& task, std::size_t rank) {
    if (task.exchange < 0) {
      kernels += task.by_rank[rank].count();
      return;
    }
    const Exchange& exchange = graph.exchanges[static_cast<std::size_t>(task.exchange)];
    sent += exchange.sent[rank].value;
    received += exchange.received[rank].value;
    kept += exchange.kept[rank].value;
  }
};

// What `rank` of a stage does in one step, put together from steps of a pool of that stage alone.
Amounts by_hand(const StepWorld& alone, const MoeModel& model, int stages, int stage, int rank) {
  Amounts sum;
  const Parallelism split{stages, 1, 1, stages};
  const StageLayers layers = stage_layers(model, split, stage);
  for (const Batch& part : cut_batch(alone.batch, stages)) {
    StepWorld world = alone;
    world.batch = part;
    const StepGraph graph = world.build();
    for (const Task& task : graph.tasks) {
      const auto layer = static_cast<std::size_t>(task.layer);
      const bool own = task.layer >= 0 ? layer >= layers.first && layer < layers.last
                                       : (task.kind == TaskKind::embedding && layers.embeds) ||
                                             (task.kind == TaskKind::head && layers.heads);
      if (own) sum.add(graph, task, static_cast<std::size_t>(rank));
    }
  }
  return sum;
}

Amounts in_pipeline(const StepGraph& graph, int rank) {
  Amounts sum;
  for (const Task& task : graph.tasks)
    if (task.kind != TaskKind::stage_send) sum.add(graph, task, static_cast<std::size_t>(rank));
  return sum;
}

std::vector<const Exchange*> sends_of(const StepGraph& graph) {
  std::vector<const Exchange*> sends;
  for (const Task& task : graph.tasks)
    if (task.kind == TaskKind::stage_send)
      sends.push_back(&graph.exchanges[static_cast<std::size_t>(task.exchange)]);
  return sends;
}

}  // namespace

TEST_CASE("every rank of a pipeline computes and exchanges what its stage alone would") {
  const StepWorld piped(kPiped), alone(kStage);
  REQUIRE(alone.batch.rows == piped.batch.rows);
  const StepGraph graph = piped.build();
  for (int rank = 0; rank < 16; ++rank) {
    CAPTURE(rank);
    const Amounts own = in_pipeline(graph, rank);
    const Amounts expected = by_hand(alone, piped.model, 2, rank / 8, rank % 8);
    CHECK(own.kernels == Approx(expected.kernels).epsilon(1e-12));
    CHECK(own.sent == Approx(expected.sent).epsilon(1e-12));
    CHECK(own.received == Approx(expected.received).epsilon(1e-12));
    CHECK(own.kept == Approx(expected.kept).epsilon(1e-12));
  }
}

TEST_CASE("a pipeline routes every token once through every layer, and makes each once") {
  const StepWorld piped(kPiped), alone(kStage);
  const StepGraph graph = piped.build(), plain = alone.build();
  CHECK(graph.tokens == plain.tokens);
  CHECK(graph.routed_copies == plain.routed_copies);
  CHECK(loads_by_layer(graph) == loads_by_layer(plain));
  std::map<int, std::int64_t> tokens;
  for (const MoeLayerLoad& load : graph.loads) {
    tokens[load.layer] += load.tokens;
    const int stage = load.layer < 12 ? 0 : 1;
    CHECK(load.held_by.first == 8 * stage);
    CHECK(load.held_by.last == 8 * stage + 8);
    std::uint64_t held = 0, all = 0;
    for (const std::uint32_t copies : load.of_holders()) held += copies;
    for (const std::uint32_t copies : load.by_rank) all += copies;
    CHECK(held == all);
  }
  REQUIRE(tokens.size() == 24);
  for (const auto& of_layer : tokens)
    CHECK(of_layer.second == static_cast<std::int64_t>(piped.batch.tokens()));
}

TEST_CASE("in round k stage s works on micro-batch k - s, and only its ranks take part") {
  const StepWorld piped(StepCase{.nodes = 4, .expert_parallel = 8, .pipeline = 4});
  const StepGraph graph = piped.build();
  CHECK(graph.stage_ranks == 8);
  int round = 0;
  for (std::size_t task = 0; task < graph.tasks.size(); ++task) {
    const Task& one = graph.tasks[task];
    if (one.kind == TaskKind::stage_send) {
      CHECK(graph.among(task).ranks() == 32);
      ++round;
      continue;
    }
    const int stage = one.layer >= 0 ? one.layer / 6 : (one.kind == TaskKind::head ? 3 : 0);
    CHECK(one.micro_batch == ((round - stage) % 4 + 4) % 4);
    if (one.exchange >= 0) {
      CHECK(graph.among(task).first == 8 * stage);
      CHECK(graph.among(task).last == 8 * stage + 8);
      continue;
    }
    for (int rank = 0; rank < 32; ++rank)
      if (rank / 8 != stage) CHECK(one.by_rank[static_cast<std::size_t>(rank)].count() == 0);
  }
  CHECK(round == 4);
}

TEST_CASE("stages hand on 2 hidden bytes a row, from each rank to its place in the next stage") {
  for (const int tensor : {1, 2}) {
    CAPTURE(tensor);
    StepWorld piped(StepCase{.expert_parallel = 8, .tensor = tensor, .pipeline = 2});
    const StepGraph graph = piped.build(2, true);
    const std::vector<const Exchange*> sends = sends_of(graph);
    REQUIRE(sends.size() == 2);
    const double row = 2.0 * static_cast<double>(piped.model.hidden);
    double rows = 0;
    for (const Exchange* send : sends) {
      for (std::size_t rank = 0; rank < 16; ++rank) {
        if (rank >= 8) CHECK(send->sent[rank].value == 0);
        if (rank < 8) CHECK(send->sent[rank] == send->received[rank + 8]);
        rows += send->sent[rank].value / row;
      }
      for (const Flow& flow : send->flows) CHECK(index(flow.destination) == index(flow.source) + 8);
    }
    CHECK(rows == Approx(static_cast<double>(piped.batch.tokens())).epsilon(1e-12));
  }
}

// What leaves a stage is a share of the tokens a rank, and the next stage gathers them: a gather a
// layer as without stages, but the last layer's.
TEST_CASE("tensor-parallel ranks gather at a stage's begin what the one before handed on") {
  const StepWorld piped(StepCase{.expert_parallel = 8, .tensor = 2, .pipeline = 2});
  const StepGraph graph = piped.build();
  std::map<int, int> gathers;
  for (const Task& task : graph.tasks)
    if (task.kind == TaskKind::tensor_gather) ++gathers[task.layer];
  CHECK(gathers[-1] == 2);  // one a micro-batch, into the second stage
  CHECK(gathers.count(11) == 0);
  CHECK(gathers[10] == 2);
  CHECK(gathers[23] == 2);
}

TEST_CASE("no request's drafted tokens are cut apart, and the last stage alone drafts") {
  StepWorld piped(StepCase{.experts = 64,
                           .layers = 3,
                           .redundant = 0,
                           .expert_parallel = 8,
                           .tokens = 9,
                           .pipeline = 2});
  piped.model = load_model("deepseek-v3");
  piped.model.experts = 64;
  piped.model.top_k = 4;
  piped.batch.drafts = 2;
  for (std::size_t group = 0; group < piped.batch.rows.size(); ++group) {
    piped.batch.rows[group].resize(9, 0);
    piped.batch.by_rank[group].assign(3, {0, Phase::decode, 3, 64});
  }
  for (const Batch& part : cut_batch(piped.batch, 2, 3)) {
    for (const auto& entries : part.by_rank)
      for (const BatchEntry& entry : entries) CHECK(entry.new_tokens == 3);
  }
  const StepGraph graph = piped.build();
  int heads = 0;
  for (const Task& task : graph.tasks) {
    if (task.kind != TaskKind::head) continue;
    ++heads;
    for (std::size_t rank = 0; rank < 16; ++rank)
      CHECK((task.by_rank[rank].count() > 0) == (rank >= 8));
  }
  CHECK(heads == 2 * 3);  // of each micro-batch the tokens', and a draft's twice
}

TEST_CASE("the largest micro-batch is what cut_batch makes first") {
  for (const int parts : {1, 2, 3, 4, 7}) {
    for (const int together : {1, 3}) {
      const StepWorld world(StepCase{.tokens = 27});
      Batch batch = world.batch;
      for (auto& rows : batch.rows) rows.resize(24, 0);
      for (auto& entries : batch.by_rank) entries.assign(8, {0, Phase::decode, 3, 0});
      std::size_t most = 0, all = 0;
      for (const Batch& part : cut_batch(batch, parts, together)) {
        most = std::max(most, part.rows[0].size());
        all += part.rows[0].size();
      }
      CHECK(most == largest_part(24, parts, together));
      CHECK(all == 24);
      std::size_t leading = 0;
      for (const BatchEntry& entry : leading_entries(batch.by_rank[0], most))
        leading += static_cast<std::size_t>(entry.new_tokens);
      CHECK(leading == most);
    }
  }
}
