// Who wins how many windows, what moves between two plans: with figures that follow from a few
// numbers.
#include "analysis/compare/bake_off.h"

#include <doctest/doctest.h>

#include "analysis/report/bake_off_text.h"
#include "tests/analysis/sample_study.h"

namespace moesim {
namespace {

// Step times in ms, window by window.
PointResult judged(const std::string& label, const std::vector<double>& steps) {
  PointResult point = sample_point({}, label == "eplb" ? 0 : 1);
  point.label = label;
  for (const double step : steps) {
    WindowResult window;
    window.step_time = step * 1e-3;
    window.balancedness = {0.5, 1};
    window.tier_bytes = {{"NVLink", 100}, {"NIC", label == "eplb" ? 50 : 200}};
    point.windows.push_back(window);
  }
  return point;
}

StudyResult two_plans() {
  StudyResult study;
  study.points = {judged("contiguous", {2, 2, 2, 2}), judged("eplb", {1, 1.8, 1.9, 2.2})};
  return study;
}

}  // namespace

TEST_CASE("the median window decides, the others count") {
  const StudyResult study = two_plans();
  CHECK(bake_off_ranking(study) == std::vector<std::size_t>{1, 0});
  const auto all = duels(study);
  REQUIRE(all.size() == 1);
  CHECK(all[0].wins == 3);
  CHECK(all[0].median_gain == doctest::Approx((0.05 + 0.1) / 2));
  CHECK(duel_text(study, all[0]) ==
        "eplb beats contiguous in 3 of 4 windows (75 %), by 7.5 % median.");
}

TEST_CASE("plans that are the same in every window are called so") {
  StudyResult study;
  study.points = {judged("a", {2, 2}), judged("b", {2, 2})};
  CHECK(duel_text(study, duels(study)[0]) == "a and b take the same in all 2 windows.");
}

TEST_CASE("studies without windows have no bake-off") {
  CHECK(duels(sample_study()).empty());
  CHECK(bake_off_lines(sample_study()).empty());
}

TEST_CASE("a replica moves where its rank did not hold the expert before") {
  StudyResult study = two_plans();
  PointResult& from = study.points[0];
  PointResult& to = study.points[1];
  for (PointResult* point : {&from, &to}) {
    point->group_ranks = 2;
    point->slot_bytes = {10, 30};
    point->expert_load = {{1, 2, 3, 4}, {4, 3, 2, 1}};
    point->expert_load_layers = {3, 5};
  }
  from.placement = {{0, 1, 2, 3}, {0, 1, 2, 3}};
  to.placement = {{1, 0, 3, 2}, {0, 2, 1, 3}};  // within ranks; then 2 and 1 change ranks
  const auto moves = moves_between(from, to);
  REQUIRE(moves);
  CHECK(moves->slots == 2);
  CHECK(moves->all_slots == 8);
  CHECK(moves->bytes == 60);
  REQUIRE(moves->hottest.size() == 2);
  CHECK(moves->hottest[0].expert == 1);
  CHECK(moves->hottest[0].layer == 5);
  CHECK(moves->hottest[0].from == 0);
  CHECK(moves->hottest[0].to == 1);
  CHECK(moves->hottest[0].share == doctest::Approx(0.3));
  to.placement[0].push_back(0);  // more slots: no move from one plan to the other
  CHECK_FALSE(moves_between(from, to));
}

TEST_CASE("the difference of two plans names what is relieved") {
  const StudyResult study = two_plans();
  std::string all;
  for (const std::string& line : bake_off_lines(study)) all += line + "\n";
  CHECK(all.find("From contiguous to eplb:") != std::string::npos);
  CHECK(all.find("NIC -75.0 %") != std::string::npos);
  CHECK(all.find("expert FFN -400 us") != std::string::npos);
  const BakeOffTable table = bake_off_table(bake_off_rows(study, {0, 0.5}));
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0][0] == "eplb");
  CHECK(table.rows[0].size() == table.heads.size());
  CHECK(table.rows[0].back() == "500 ms");
}

}  // namespace moesim
