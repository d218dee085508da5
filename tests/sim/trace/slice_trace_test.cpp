// Slices: what stays, what the header says then, and what is refused.
#include "sim/trace/slice_trace.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/sim/trace/hand_made_trace.h"

namespace moesim {
namespace {

using test::TemporaryFolder;

RoutingTrace hand_made() { return make_trace(hand_made_columns()); }

// The slice as written and read again.
RoutingTrace sliced(const RoutingTrace& trace, const SliceFilters& filters) {
  const TemporaryFolder folder;
  write_picked(folder / "u.safetensors", slice_trace(trace, "t", filters));
  return open_trace(folder / "u.safetensors", true);
}

std::string refusal(const SliceFilters& filters) {
  const RoutingTrace trace = hand_made();
  try {
    slice_trace(trace, "t.safetensors", filters);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

template <class T>
std::vector<int> ints(std::span<const T> values) {
  return {values.begin(), values.end()};
}

TEST_CASE("a slice without filters is the trace, byte for byte") {
  const TemporaryFolder folder;
  const RoutingTrace trace = hand_made();
  write_trace(folder / "t.safetensors", trace);
  write_picked(folder / "u.safetensors", slice_trace(trace, "t", {}));
  CHECK(read_text_file(folder / "t.safetensors") == read_text_file(folder / "u.safetensors"));
}

TEST_CASE("rows stay that satisfy every filter, and keep their labels") {
  SliceFilters filters;
  filters.tokens = NumberRange{1, 6};
  filters.positions = NumberRange{1, 3};
  const RoutingTrace slice = sliced(hand_made(), filters);  // rows 1, 2 and 5
  CHECK(ints(slice.request) == std::vector<int>{7, 7, 9});
  CHECK(ints(slice.position) == std::vector<int>{1, 2, 1});
  CHECK(ints(slice.step) == std::vector<int>{0, 0, 2});
  CHECK(ints(slice.phase) == std::vector<int>{0, 0, 1});
  CHECK(ints(slice.choice(2, 0)) == std::vector<int>{3, kNotRouted});
  CHECK(slice.weights.size() == slice.experts.size());
}

TEST_CASE("domains without rows leave the table, and ids follow it") {
  SliceFilters filters;
  filters.domains = {"prose"};
  const RoutingTrace slice = sliced(hand_made(), filters);
  CHECK(slice.header.domains == std::vector<std::string>{"prose"});
  CHECK(ints(slice.domain) == std::vector<int>{0, 0});
  CHECK(slice.header.model == "hand");
  CHECK(slice.header.seed == 42);
}

TEST_CASE("layers are chosen by their ids in the model") {
  SliceFilters filters;
  filters.layers = {{3, 4}};
  const RoutingTrace slice = sliced(hand_made(), filters);
  CHECK(slice.header.layer_ids == std::vector<int>{3});
  CHECK(slice.tokens() == hand_made().tokens());
  CHECK(ints(slice.choice(0, 0)) == ints(hand_made().choice(0, 1)));
}

TEST_CASE("the parts of a trace hold all of it") {
  const RoutingTrace trace = hand_made();
  SliceFilters prefill, decode;
  prefill.phase = Phase::prefill;
  decode.phase = Phase::decode;
  CHECK(slice_trace(trace, "t", prefill).tokens() + slice_trace(trace, "t", decode).tokens() ==
        trace.tokens());
}

TEST_CASE("an empty slice is refused with the filter that emptied it") {
  SliceFilters filters;
  filters.domains = {"code"};
  filters.phase = Phase::decode;
  const std::string message = refusal(filters);
  CAPTURE(message);
  CHECK(message.find("t.safetensors") != std::string::npos);
  // Filters are applied phase last: 4 rows are code, none of these is decode.
  CHECK(message.find("--domains code leaves 4, --phase decode leaves 0") != std::string::npos);

  SliceFilters steps;
  steps.steps = NumberRange{10, 20};
  CHECK(refusal(steps).find("steps run from 0 to 2") != std::string::npos);
}

TEST_CASE("unknown domains and layers are refused with those there are") {
  SliceFilters domain;
  domain.domains = {"cod"};
  CHECK(refusal(domain).find("did you mean \"code\"") != std::string::npos);
  SliceFilters layer;
  layer.layers = {{1, 2}, {2, 3}};
  const std::string message = refusal(layer);
  CAPTURE(message);
  CHECK(message.find("--layers 2:3") != std::string::npos);
  CHECK(message.find("[1, 3]") != std::string::npos);
}

TEST_CASE("ranges are read as a:b, a:, :b and a") {
  CHECK(parse_range("2:5", "x").holds(4));
  CHECK_FALSE(parse_range("2:5", "x").holds(5));
  CHECK(parse_range(":5", "x").first == 0);
  CHECK(parse_range("7:", "x").holds(1'000'000'000'000));
  CHECK(parse_range("7", "x").end == 8);
  for (const char* wrong : {"", ":", "5:5", "6:5", "-1:4", "a:b", "1:2:3", "1.5", " 1"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_range(wrong, "--tokens"), InputError);
  }
}

TEST_CASE("an expert id beyond the header's is refused when its row is written") {
  const TemporaryFolder folder;
  TraceColumns columns = hand_made_columns();
  const RoutingTrace good = make_trace(columns);
  columns.experts[9] = 4;  // row 2, first layer, second choice
  RoutingTrace bad = good;
  bad.experts = columns.experts;
  try {
    write_picked(folder / "u.safetensors", slice_trace(bad, "bad", {}));
    FAIL("not refused");
  } catch (const InputError& error) {
    const std::string message = error.what();
    CHECK(message.find("bad: tensor experts, token row 2: expert 4 in layer 1") !=
          std::string::npos);
  }
  CHECK(folder.entries() == 0);
}

}  // namespace
}  // namespace moesim
