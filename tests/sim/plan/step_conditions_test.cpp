// Padding, host time and noise: what they add, that seeds decide, and that nothing else changes.
#include "sim/plan/step_conditions.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "tests/sim/plan/step_fixture.h"

using namespace moesim;
using namespace moesim::test;

namespace {

std::vector<Batch> batches_of(const WorkloadSpec& workload, const RoutingTrace& trace) {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < trace.tokens(); ++row) rows.push_back(row);
  return make_batches(workload, trace, rows, 8, 5);
}

}  // namespace

TEST_CASE("a rank's batch is filled up to a captured size, then to the largest rank's") {
  const RoutingTrace trace = make_random_trace(StepCase{}, 400);
  WorkloadSpec workload;
  workload.tokens_per_rank = 20;
  workload.spread = 0.3;
  const Batch plain = batches_of(workload, trace).front();
  workload.padding.batch_sizes = {8, 16, 24};
  const Batch graphs = batches_of(workload, trace).front();
  workload.padding.to_largest = true;
  const Batch all = batches_of(workload, trace).front();
  std::size_t largest = 0, added = 0;
  for (std::size_t rank = 0; rank < 8; ++rank) {
    const std::size_t tokens = plain.rows[rank].size(), padded = graphs.rows[rank].size();
    CHECK(padded == (tokens <= 8 ? 8 : tokens <= 16 ? 16 : tokens <= 24 ? 24 : tokens));
    largest = std::max(largest, padded);
    added += padded - tokens;
    REQUIRE(graphs.by_rank[rank].size() == padded);
    for (std::size_t i = 0; i < tokens; ++i) CHECK(graphs.rows[rank][i] == plain.rows[rank][i]);
    for (std::size_t i = tokens; i < padded; ++i) {
      CHECK(graphs.rows[rank][i] == 0);
      CHECK(graphs.by_rank[rank][i].context == 0);
      CHECK(graphs.by_rank[rank][i].request == -1);
    }
  }
  CHECK(added > 0);
  CHECK(graphs.padding == added);
  CHECK(graphs.tokens() == plain.tokens() + added);
  for (const auto& rows : all.rows) CHECK(rows.size() == largest);
}

TEST_CASE("with drafts a request to fill up is as long as the others, and sizes count requests") {
  const RoutingTrace trace = make_random_trace(StepCase{}, 400);
  WorkloadSpec workload;
  workload.tokens_per_rank = 5;
  workload.drafting = {1, 0.5};
  workload.padding.batch_sizes = {8};
  const Batch batch = batches_of(workload, trace).front();
  for (std::size_t rank = 0; rank < 8; ++rank) {
    CHECK(batch.by_rank[rank].size() == 8);
    CHECK(batch.rows[rank].size() == 16);
  }
  CHECK(batch.padding == 8 * 3 * 2);
  CHECK(static_cast<double>(batch.tokens() - batch.padding) * batch.kept ==
        doctest::Approx(8 * 5 * 1.5));
}

TEST_CASE("padding is routed but no token of the step's result") {
  StepWorld world(StepCase{});
  const StepGraph plain = world.build();
  std::vector<Batch> one{world.batch};
  pad_batches({{}, true}, 7, one);
  world.batch = one.front();
  const StepGraph padded = world.build();
  CHECK(padded.tokens == plain.tokens);
  std::int64_t each = 0;  // choices of trace row 7 in the layers that the model replays
  for (int layer = 0; layer < 24; ++layer)
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t at =
          (7 * world.trace.moe_layers() + static_cast<std::size_t>(layer % 5)) * 4 + k;
      each += world.trace.experts[at] == kNotRouted ? 0 : 1;
    }
  CHECK(padded.routed_copies - plain.routed_copies ==
        each * static_cast<std::int64_t>(world.batch.padding));
}

TEST_CASE("the host's time comes first, drawn by rank and step, with the mean asked for") {
  const RoutingTrace trace = make_random_trace(StepCase{}, 400);
  WorkloadSpec workload;
  workload.tokens_per_rank = 2;
  workload.steps = 200;
  workload.host_time = Seconds(2e-3);
  workload.host_spread = 0.2;
  const std::vector<Batch> batches = batches_of(workload, trace);
  double sum = 0, squares = 0, count = 0;
  for (const Batch& batch : batches)
    for (const Seconds time : batch.host) {
      sum += time.count();
      squares += time.count() * time.count();
      ++count;
    }
  const double mean = sum / count;
  CHECK(count == 1600);
  CHECK(mean == doctest::Approx(2e-3).epsilon(0.02));
  CHECK(std::sqrt(squares / count - mean * mean) / mean == doctest::Approx(0.2).epsilon(0.1));
  CHECK(batches[0].host[0] != batches[1].host[0]);

  StepWorld world(StepCase{.tensor = 2});
  world.batch.host.assign(8, Seconds(1e-3));
  world.batch.host[3] = Seconds(5e-3);
  const StepGraph graph = world.build();
  REQUIRE(graph.tasks.front().kind == TaskKind::host);
  CHECK(graph.tasks.front().by_rank[5].count() == 1e-3);
  CHECK(graph.tasks.front().by_rank[6].count() == 5e-3);
  CHECK(graph.tasks.front().by_rank[7].count() == 5e-3);
  CHECK(graph.tasks[1].kind == TaskKind::embedding);
}

TEST_CASE("noise has mean 1: a rank's own lasts, a kernel's is drawn anew in each step") {
  StepWorld world(StepCase{});
  const StepGraph plain = world.build();
  world.batch.noise = {0.05, 0, 3, 0};
  const StepGraph first = world.build();
  world.batch.noise.step = 1;
  const StepGraph second = world.build();
  std::map<int, double> factor;
  for (std::size_t task = 0; task < plain.tasks.size(); ++task) {
    if (plain.tasks[task].exchange >= 0) {
      CHECK(first.tasks[task].noise.empty());
      continue;
    }
    for (std::size_t rank = 0; rank < 16; ++rank) {
      const double alone = plain.tasks[task].by_rank[rank].count();
      const double noisy = first.tasks[task].by_rank[rank].count();
      CHECK(noisy - first.tasks[task].noise[rank].count() == doctest::Approx(alone));
      const auto [found, fresh] = factor.try_emplace(static_cast<int>(rank), noisy / alone);
      CHECK(noisy / alone == doctest::Approx(found->second));
      CHECK(second.tasks[task].by_rank[rank].count() == noisy);
    }
  }
  world.batch.noise = {0, 0.1, 3, 0};
  const StepGraph kernels = world.build();
  world.batch.noise.step = 1;
  const StepGraph later = world.build();
  double sum = 0, count = 0, same = 0;
  for (std::size_t task = 0; task < plain.tasks.size(); ++task)
    for (std::size_t rank = 0; rank < kernels.tasks[task].noise.size(); ++rank) {
      sum += kernels.tasks[task].by_rank[rank] / plain.tasks[task].by_rank[rank];
      same += kernels.tasks[task].noise[rank] == later.tasks[task].noise[rank] ? 1 : 0;
      ++count;
    }
  CHECK(sum / count == doctest::Approx(1).epsilon(0.01));
  CHECK(same == 0);
}
