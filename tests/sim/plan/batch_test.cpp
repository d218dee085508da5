// Batches: how simulated requests and chunks are dealt from a trace's rows.
#include "sim/plan/batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/core/error.h"
#include "sim/trace/request_rows.h"

namespace moesim {
namespace {

// `requests` traced requests of `length` rows each, one after another.
RoutingTrace trace_of(std::size_t requests, std::size_t length) {
  TraceColumns columns;
  columns.header = {1, "rows", 4, 1, {0}, "synthetic", 0, {"all"}, ""};
  const std::size_t tokens = requests * length;
  for (std::size_t i = 0; i < tokens; ++i) {
    columns.request.push_back(static_cast<std::int32_t>(i / length));
    columns.position.push_back(static_cast<std::int32_t>(i % length));
  }
  columns.step.assign(tokens, 0);
  columns.experts.assign(tokens, 0);
  columns.domain.assign(tokens, 0);
  columns.phase.assign(tokens, 0);
  return make_trace(std::move(columns));
}

WorkloadSpec workload_of(Phase phase, int tokens_per_rank, int steps) {
  WorkloadSpec workload;
  workload.phase = phase;
  workload.tokens_per_rank = tokens_per_rank;
  workload.steps = steps;
  return workload;
}

std::vector<Batch> batches_of(const WorkloadSpec& workload,
                              const RoutingTrace& trace,
                              int dp_ranks,
                              std::uint64_t seed = 1) {
  return make_batches(workload, trace, all_rows(trace.tokens()), dp_ranks, seed);
}

std::map<std::uint32_t, int> uses_of(const std::vector<Batch>& batches) {
  std::map<std::uint32_t, int> uses;
  for (const Batch& batch : batches)
    for (const auto& rows : batch.rows)
      for (const std::uint32_t row : rows) ++uses[row];
  return uses;
}

// The law of the contract: as many rows as new tokens on every rank.
void check_rows_match_entries(const std::vector<Batch>& batches) {
  for (const Batch& batch : batches) {
    REQUIRE(batch.by_rank.size() == batch.rows.size());
    std::size_t tokens = 0;
    for (std::size_t g = 0; g < batch.rows.size(); ++g) {
      std::size_t of_rank = 0;
      for (const BatchEntry& entry : batch.by_rank[g])
        of_rank += static_cast<std::size_t>(entry.new_tokens);
      CHECK(batch.rows[g].size() == of_rank);
      tokens += of_rank;
    }
    CHECK(batch.tokens() == tokens);
  }
}

}  // namespace

TEST_CASE("the leading share of every request is for planning, the rest is replayed") {
  const RoutingTrace trace = trace_of(2, 4);
  const TraceSplit half = split_trace(trace, 0.5);
  CHECK(half.planning == std::vector<std::uint32_t>{0, 1, 4, 5});
  CHECK(half.replay == std::vector<std::uint32_t>{2, 3, 6, 7});
  const TraceSplit all = split_trace(trace, 1);
  CHECK(all.planning.size() == 8);
  CHECK(all.replay.empty());
}

TEST_CASE("a planning share of zero lets all rows serve both") {
  const TraceSplit split = split_trace(trace_of(2, 3), 0);
  CHECK(split.planning == all_rows(6));
  CHECK(split.replay == all_rows(6));
}

TEST_CASE("requests too short to be cut are shared out whole") {
  const TraceSplit split = split_trace(trace_of(100, 1), 0.3);
  CHECK(split.planning.size() == 30);
  CHECK(split.replay.size() == 70);
}

TEST_CASE("a planning share outside 0 to 1 is refused by key") {
  const RoutingTrace trace = trace_of(1, 2);
  CHECK_THROWS_WITH_AS(split_trace(trace, 1.5),
                       "workload.planning_share: is 1.500000, allowed: 0 to 1", InputError);
  CHECK_THROWS_AS(split_trace(trace, std::nan("")), InputError);
}

TEST_CASE("in time the trace's first rows plan, and windows cut the rest in order") {
  const RoutingTrace trace = trace_of(10, 5);
  const TraceSplit split = split_trace_in_time(trace, 0.3);
  CHECK(split.planning.size() == 15);
  CHECK(split.planning.back() == 14);
  CHECK(split.replay.front() == 15);
  const auto windows = cut_windows(split.replay, 4);
  REQUIRE(windows.size() == 4);
  std::vector<std::uint32_t> joined;
  for (const auto& window : windows) {
    CHECK((window.size() == 8 || window.size() == 9));
    joined.insert(joined.end(), window.begin(), window.end());
  }
  CHECK(joined == split.replay);
  CHECK_THROWS_WITH_AS(cut_windows(split.replay, 36), doctest::Contains("only 35 rows"),
                       InputError);
  CHECK(split_trace_in_time(trace, 0).planning.size() == 50);
}

TEST_CASE("each decode request follows one traced request, a row a step") {
  const RoutingTrace trace = trace_of(40, 10);
  WorkloadSpec workload = workload_of(Phase::decode, 5, 3);
  workload.context_median = 100;
  const auto batches = batches_of(workload, trace, 4);
  REQUIRE(batches.size() == 3);
  check_rows_match_entries(batches);
  std::set<std::int32_t> ids;
  for (std::size_t g = 0; g < 4; ++g) {
    REQUIRE(batches[0].by_rank[g].size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
      const std::uint32_t first = batches[0].rows[g][i];
      ids.insert(batches[0].by_rank[g][i].request);
      for (std::uint32_t step = 0; step < 3; ++step) {
        const BatchEntry& entry = batches[step].by_rank[g][i];
        CHECK(entry.request == batches[0].by_rank[g][i].request);
        CHECK(entry.phase == Phase::decode);
        CHECK(entry.new_tokens == 1);
        CHECK(entry.context == 100 + static_cast<int>(step));
        // The same traced request, from its beginning again past its end.
        CHECK(batches[step].rows[g][i] == first / 10 * 10 + (first % 10 + step) % 10);
      }
    }
  }
  CHECK(ids.size() == 20);
}

TEST_CASE("decode starts are distinct rows while the trace lasts, then reused evenly") {
  const RoutingTrace trace = trace_of(7, 9);  // 63 rows
  for (const int tokens : {1, 10, 31}) {      // x 2 ranks: 2, 20, 62 starts
    const auto uses = uses_of(batches_of(workload_of(Phase::decode, tokens, 1), trace, 2));
    CHECK(uses.size() == static_cast<std::size_t>(2 * tokens));
  }
  // 200 starts over 63 rows: each 3 or 4 times.
  const auto uses = uses_of(batches_of(workload_of(Phase::decode, 100, 1), trace, 2));
  REQUIRE(uses.size() == 63);
  for (const auto& use : uses) CHECK((use.second == 3 || use.second == 4));
}

TEST_CASE("prefill chunks are contiguous rows of one traced request") {
  const RoutingTrace trace = trace_of(50, 8);
  WorkloadSpec workload = workload_of(Phase::prefill, 20, 3);
  workload.context_median = 0;
  const auto batches = batches_of(workload, trace, 4);
  check_rows_match_entries(batches);
  for (const Batch& batch : batches)
    for (std::size_t g = 0; g < 4; ++g) {
      CHECK(batch.rows[g].size() == 20);
      std::size_t at = 0;
      for (const BatchEntry& entry : batch.by_rank[g]) {
        const auto length = static_cast<std::size_t>(entry.new_tokens);
        const std::uint32_t first = batch.rows[g][at];
        CHECK(entry.phase == Phase::prefill);
        for (std::size_t i = 0; i < length; ++i) CHECK(batch.rows[g][at + i] == first + i);
        CHECK(first / 8 == (first + length - 1) / 8);
        at += length;
      }
    }
  // 3 steps x 4 ranks x 20 tokens fit into 400 rows: none is used twice.
  CHECK(uses_of(batches).size() == 240);
}

TEST_CASE("a request cut by the step's end goes on in the next with its tokens as context") {
  const RoutingTrace trace = trace_of(1, 100);
  WorkloadSpec workload = workload_of(Phase::prefill, 30, 2);
  workload.context_median = 7;
  int cut = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto batches = batches_of(workload, trace, 1, seed);
    const BatchEntry& last = batches[0].by_rank[0].back();
    const BatchEntry& next = batches[1].by_rank[0].front();
    CHECK(batches[0].by_rank[0].front().context == 7);
    // Row 99 ends the traced request: what follows it is a new one.
    const bool goes_on = batches[0].rows[0].back() != 99;
    cut += goes_on ? 1 : 0;
    CHECK((next.request == last.request) == goes_on);
    CHECK(next.context == 7 + (goes_on ? last.context - 7 + last.new_tokens : 0));
  }
  CHECK(cut > 10);
}

TEST_CASE("prefill beyond the trace reuses rows evenly") {
  const auto uses = uses_of(batches_of(workload_of(Phase::prefill, 50, 2), trace_of(5, 8), 4));
  REQUIRE(uses.size() == 40);  // 400 tokens: each row ten times
  for (const auto& use : uses) CHECK(use.second == 10);
}

TEST_CASE("tokens per rank vary with the spread and never vanish") {
  const RoutingTrace trace = trace_of(100, 100);
  WorkloadSpec workload = workload_of(Phase::decode, 1000, 1);
  workload.spread = 0.1;
  double sum = 0, squares = 0;
  const Batch batch = batches_of(workload, trace, 400)[0];
  for (const auto& rows : batch.rows) {
    sum += static_cast<double>(rows.size());
    squares += static_cast<double>(rows.size()) * static_cast<double>(rows.size());
  }
  const double mean = sum / 400, deviation = std::sqrt(squares / 400 - mean * mean);
  // Standard errors: 100 / sqrt(400) = 5 of the mean, 100 / sqrt(800) = 3.5 of the deviation.
  CHECK(std::abs(mean - 1000) < 4 * 5);
  CHECK(std::abs(deviation - 100) < 4 * 3.5);
  workload.tokens_per_rank = 2;
  workload.spread = 3;
  const Batch wild = batches_of(workload, trace, 100)[0];
  for (const auto& rows : wild.rows) CHECK(!rows.empty());
}

TEST_CASE("contexts are lognormal: the median and the spread of their logarithm are as asked") {
  WorkloadSpec workload = workload_of(Phase::decode, 5000, 1);
  workload.context_median = 4096;
  workload.context_sigma = 0.6;
  const Batch batch = batches_of(workload, trace_of(10, 100), 1)[0];
  int below = 0;
  double squares = 0;
  for (const BatchEntry& entry : batch.by_rank[0]) {
    below += entry.context < 4096 ? 1 : 0;
    squares += std::pow(std::log(entry.context / 4096.0), 2);
  }
  // Standard errors: sqrt(5000) / 2 = 35 of the count, 0.6 / sqrt(10000) = 0.006 of sigma.
  CHECK(std::abs(below - 2500) < 4 * 35);
  CHECK(std::abs(std::sqrt(squares / 5000) - 0.6) < 4 * 0.006);
}

TEST_CASE("the same seed gives the same batches, another seed others") {
  const RoutingTrace trace = trace_of(30, 20);
  for (const Phase phase : {Phase::decode, Phase::prefill}) {
    WorkloadSpec workload = workload_of(phase, 16, 2);
    workload.spread = 0.2;
    workload.context_sigma = 0.5;
    const auto one = batches_of(workload, trace, 3, 5), same = batches_of(workload, trace, 3, 5);
    const auto other = batches_of(workload, trace, 3, 6);
    for (std::size_t step = 0; step < 2; ++step) {
      CHECK(one[step].rows == same[step].rows);
      for (std::size_t g = 0; g < 3; ++g)
        for (std::size_t i = 0; i < one[step].by_rank[g].size(); ++i)
          CHECK(one[step].by_rank[g][i].context == same[step].by_rank[g][i].context);
    }
    CHECK(one[0].rows != other[0].rows);
  }
}

TEST_CASE("only the rows given are replayed") {
  const RoutingTrace trace = trace_of(4, 10);
  const TraceSplit split = split_trace(trace, 0.7);
  const auto batches = make_batches(workload_of(Phase::decode, 50, 4), trace, split.replay, 2, 1);
  for (const auto& use : uses_of(batches)) CHECK(use.first % 10 >= 7);
}

TEST_CASE("no rows to replay is an error that names the share") {
  const RoutingTrace trace = trace_of(2, 2);
  CHECK_THROWS_WITH_AS(
      make_batches(workload_of(Phase::decode, 1, 1), trace, {}, 1, 1),
      "workload.planning_share: leaves no row of the trace's 4 to replay; choose a "
      "smaller share or a longer trace",
      InputError);
}

}  // namespace moesim
