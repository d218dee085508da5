// Merged traces: nothing is lost, labels are renewed, orders are as promised.
#include "sim/trace/merge_traces.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/sim/trace/hand_made_trace.h"

namespace moesim {
namespace {

using test::TemporaryFolder;

// `tokens` rows of requests with `per_request` rows each, every row routed to expert `mark`.
RoutingTrace marked(int tokens, int per_request, std::uint16_t mark, const std::string& domain) {
  TraceColumns columns;
  columns.header = {1, "m", 8, 1, {0}, "forward", 0, {domain}, "", {}};
  for (int token = 0; token < tokens; ++token) {
    columns.experts.push_back(mark);
    columns.request.push_back(100 + token / per_request);
    columns.position.push_back(token % per_request);
    columns.step.push_back(token % per_request);
    columns.domain.push_back(0);
    columns.phase.push_back(token % per_request == 0 ? 0 : 1);
  }
  return make_trace(std::move(columns));
}

RoutingTrace written(const PickedRows& picked, const TemporaryFolder& folder) {
  write_picked(folder / "u.safetensors", picked);
  return open_trace(folder / "u.safetensors", true);
}

std::string refusal(const std::vector<NamedTrace>& traces, const MergeOptions& options = {}) {
  try {
    merge_traces(traces, options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("concatenated traces follow one another in rows, requests and steps") {
  const TemporaryFolder folder;
  const RoutingTrace a = marked(6, 3, 1, "x"), b = marked(4, 2, 2, "y");
  const RoutingTrace both = written(merge_traces({{"a", a}, {"b", b}}, {}), folder);
  REQUIRE(both.tokens() == a.tokens() + b.tokens());
  CHECK(both.header.domains == std::vector<std::string>{"x", "y"});
  // a has requests 100, 101 and steps 0 to 2; b's requests of the same ids are others.
  CHECK(std::vector<int>(both.request.begin(), both.request.end()) ==
        std::vector<int>{0, 0, 0, 1, 1, 1, 2, 2, 3, 3});
  CHECK(std::vector<int>(both.step.begin(), both.step.end()) ==
        std::vector<int>{0, 1, 2, 0, 1, 2, 3, 4, 3, 4});
  CHECK(both.domain[5] == 0);
  CHECK(both.domain[6] == 1);
}

TEST_CASE("domains of the same name are one") {
  const TemporaryFolder folder;
  const RoutingTrace a = marked(2, 1, 1, "x"), b = marked(3, 1, 2, "x");
  const RoutingTrace both = written(merge_traces({{"a", a}, {"b", b}}, {}), folder);
  CHECK(both.header.domains == std::vector<std::string>{"x"});
}

TEST_CASE("interleaved rows are mixed by the seed, each trace's in their order") {
  const TemporaryFolder folder;
  const RoutingTrace a = marked(60, 6, 1, "x"), b = marked(40, 4, 2, "y");
  MergeOptions options{MergeOrder::interleave, {}, 5};
  const RoutingTrace mixed = written(merge_traces({{"a", a}, {"b", b}}, options), folder);
  std::map<std::uint8_t, std::vector<int>> positions;
  std::size_t changes = 0;
  for (std::size_t row = 0; row < mixed.tokens(); ++row) {
    positions[mixed.domain[row]].push_back(mixed.position[row]);
    CHECK(mixed.step[row] == mixed.position[row]);  // as in the sources
    CHECK(mixed.experts[row] == mixed.domain[row] + 1);
    if (row > 0 && mixed.domain[row] != mixed.domain[row - 1]) ++changes;
  }
  CHECK(positions[0] == std::vector<int>(a.position.begin(), a.position.end()));
  CHECK(positions[1] == std::vector<int>(b.position.begin(), b.position.end()));
  CHECK(changes > 10);  // 48 are expected of 99 places: 2 x 0.6 x 0.4

  const std::string bytes = read_text_file(folder / "u.safetensors");
  written(merge_traces({{"a", a}, {"b", b}}, options), folder);
  CHECK(read_text_file(folder / "u.safetensors") == bytes);
  options.seed = 6;
  written(merge_traces({{"a", a}, {"b", b}}, options), folder);
  CHECK(read_text_file(folder / "u.safetensors") != bytes);
}

TEST_CASE("weights cut whole requests to the shares asked for") {
  const RoutingTrace a = marked(600, 3, 1, "x"), b = marked(100, 2, 2, "y");
  // b's 100 rows are the scarcer: a gives 3 x 100 of its 600.
  const PickedRows picked = merge_traces({{"a", a}, {"b", b}}, {MergeOrder::concatenate, {3, 1}});
  CHECK(picked.tokens() == 400);
  CHECK(picked.sources[0].requests.size() == 100);
  CHECK(picked.sources[1].requests.size() == 50);
}

TEST_CASE("a column stays when every trace has it") {
  TraceColumns columns = hand_made_columns();
  const RoutingTrace full = make_trace(columns);
  columns.weights.clear();
  const RoutingTrace bare = make_trace(columns);
  CHECK(merge_traces({{"a", full}, {"b", full}}, {}).keep_weights);
  CHECK_FALSE(merge_traces({{"a", full}, {"b", bare}}, {}).keep_weights);
}

TEST_CASE("traces of another shape are refused with both files and values") {
  const RoutingTrace a = make_trace(hand_made_columns());
  TraceColumns other = hand_made_columns();
  other.header.experts = 5;
  const std::string message = refusal({{"a.st", a}, {"b.st", make_trace(other)}});
  CHECK(message.find("a.st has experts 4, b.st has 5") != std::string::npos);
  other = hand_made_columns();
  other.header.layer_ids = {1, 4};
  CHECK(refusal({{"a.st", a}, {"b.st", make_trace(other)}}).find("layer_ids [1, 3]") !=
        std::string::npos);
  CHECK(refusal({{"a.st", a}}).find("at least two") != std::string::npos);
  MergeOptions options;
  options.weights = {1};
  CHECK(refusal({{"a", a}, {"b", a}}, options).find("1 numbers for 2 traces") != std::string::npos);
  options.weights = {1, 0};
  CHECK(refusal({{"a", a}, {"b", a}}, options).find("above 0") != std::string::npos);
}

}  // namespace
}  // namespace moesim
