// Differences of traces, counted by hand.
#include "sim/trace/diff_traces.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "tests/sim/trace/hand_made_trace.h"

namespace moesim {
namespace {

TraceDifference difference(const TraceColumns& a, const TraceColumns& b, int threads = 1) {
  const RoutingTrace x = make_trace(a), y = make_trace(b);
  return diff_traces({"a", x}, {"b", y}, threads);
}

TEST_CASE("a trace is identical with itself") {
  const TraceDifference same = difference(hand_made_columns(), hand_made_columns());
  CHECK(same.identical());
  CHECK(same.compared_rows == 6);
  for (const LayerDifference& layer : same.layers) {
    CHECK(layer.changed_choices == 0);
    CHECK(layer.set_overlap == 1);
    CHECK(layer.all.total_variation == 0);
  }
}

TEST_CASE("the first difference of a column names row, layer and choice") {
  TraceColumns other = hand_made_columns();
  other.experts[10] = 3;  // row 2, layer 3 (the second), choice 0: 2 becomes 3
  other.position[4] = 8;
  const TraceDifference found = difference(hand_made_columns(), other);
  REQUIRE(found.columns.size() == 2);
  CHECK(found.columns[0].column == "position");
  CHECK(found.columns[0].row == 4);
  CHECK(found.columns[0].b == "8");
  CHECK(found.columns[1].column == "experts");
  CHECK(found.columns[1].row == 2);
  CHECK(found.columns[1].layer == 3);
  CHECK(found.columns[1].choice == 0);
  CHECK(found.columns[1].a == "2");
  CHECK(found.columns[1].b == "3");
  REQUIRE(found.layers.size() == 2);
  CHECK(found.layers[0].changed_choices == 0);
  CHECK(found.layers[1].changed_choices == doctest::Approx(1.0 / 12));  // 6 rows x 2 choices
  // That row: {2, 1} and {3, 1} share 1 of 3; the five others are alike.
  CHECK(found.layers[1].set_overlap == doctest::Approx((5 + 1.0 / 3) / 6));
  // Layer 3: one of 12 copies moves from expert 2 to 3; all of it in domain code's 8.
  CHECK(found.layers[1].all.total_variation == doctest::Approx(1.0 / 12));
  CHECK(found.layers[1].by_domain[0].total_variation == doctest::Approx(1.0 / 8));
  CHECK(found.layers[1].by_domain[1].total_variation == 0);
}

TEST_CASE("order changes choices, not sets or loads") {
  TraceColumns other = hand_made_columns();
  std::swap(other.experts[0], other.experts[1]);
  const TraceDifference found = difference(hand_made_columns(), other);
  CHECK_FALSE(found.identical());
  CHECK(found.layers[0].changed_choices == doctest::Approx(2.0 / 12));
  CHECK(found.layers[0].set_overlap == 1);
  CHECK(found.layers[0].all.total_variation == 0);
}

TEST_CASE("domains are compared by name, whatever their ids") {
  TraceColumns other = hand_made_columns();
  other.header.domains = {"prose", "code"};
  for (std::uint8_t& domain : other.domain) domain = static_cast<std::uint8_t>(1 - domain);
  const TraceDifference found = difference(hand_made_columns(), other);
  CHECK(found.columns.empty());
  REQUIRE(found.header.size() == 1);
  CHECK(found.header[0].field == "domains");
  for (const LoadDifference& load : found.layers[0].by_domain) CHECK(load.total_variation == 0);
}

TEST_CASE("traces of other lengths or layers are compared where both have something") {
  TraceColumns shorter = hand_made_columns();
  shorter.header.layer_ids = {0, 3};
  for (auto* column : {&shorter.request, &shorter.position, &shorter.step}) column->pop_back();
  shorter.domain.pop_back();
  shorter.phase.pop_back();
  shorter.experts.resize(20);
  shorter.weights.clear();
  const TraceDifference found = difference(hand_made_columns(), shorter);
  CHECK(found.compared_rows == 5);
  REQUIRE(found.layers.size() == 1);
  CHECK(found.layers[0].layer == 3);
  CHECK(found.layers[0].changed_choices == 0);
  REQUIRE(found.columns.size() == 1);
  CHECK(found.columns[0].column == "weights");
  CHECK(found.columns[0].b == "absent");
  CHECK(found.a.tokens == 6);
  CHECK(found.b.requests == 2);
}

TEST_CASE("choices among other numbers of experts are not compared") {
  TraceColumns other = hand_made_columns();
  other.header.experts = 8;
  CHECK(difference(hand_made_columns(), other).layers.empty());
}

TEST_CASE("the difference does not depend on the number of threads") {
  TraceColumns a = hand_made_columns(), b;
  a.experts.clear();
  a.weights.clear();
  for (auto* column : {&a.request, &a.position, &a.step}) column->assign(20000, 3);
  a.domain.assign(20000, 0);
  a.phase.assign(20000, 0);
  b = a;
  for (std::size_t i = 0; i < 80000; ++i) {
    a.experts.push_back(static_cast<std::uint16_t>(i % 4));
    b.experts.push_back(static_cast<std::uint16_t>(i % 7 == 6 ? 0 : i % 4));
  }
  const TraceDifference one = difference(a, b, 1), three = difference(a, b, 3);
  REQUIRE(one.columns.size() == 1);
  CHECK(one.columns[0].row == three.columns[0].row);
  CHECK(one.columns[0].values == three.columns[0].values);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    CHECK(one.layers[layer].set_overlap == three.layers[layer].set_overlap);
    CHECK(one.layers[layer].all.total_variation == three.layers[layer].all.total_variation);
  }
}

TEST_CASE("an expert id beyond the header's is refused by the trace's name") {
  const RoutingTrace good = make_trace(hand_made_columns());
  std::vector<std::uint16_t> experts = hand_made_columns().experts;
  experts[3] = 9;
  RoutingTrace bad = good;
  bad.experts = experts;
  CHECK_THROWS_WITH_AS(diff_traces({"a", good}, {"b.st", bad}), doctest::Contains("b.st"),
                       InputError);
}

}  // namespace
}  // namespace moesim
