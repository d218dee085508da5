// A user's points on a chart: in the axes' units, in the colour of their curve.
#include "analysis/charts/measured_marks.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "analysis/charts/chart_kit.h"
#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"

using namespace moesim;
using moesim::test::TemporaryFolder;
using nlohmann::json;

namespace {

json chart() {
  json option = chart_option(400, "");
  option["xAxis"] = value_axis("tokens a rank");
  option["yAxis"] = value_axis("dispatch + combine of a step, ms");
  option["yAxis"]["type"] = "log";
  option["series"].push_back(line_series("eplb", 3, json::array()));
  return option;
}

json marked(const std::string& csv, json option = chart()) {
  const TemporaryFolder folder;
  write_file(folder / "mine.csv", csv);
  add_measured_marks(folder / "mine.csv", option);
  return option;
}

}  // namespace

TEST_CASE("Measured points take the unit of the axis and the colour of their curve") {
  const json option = marked("series,x,y\neplb,64,1500 us\nother,32,2 ms\neplb,128,0.003 s\n");
  REQUIRE(option["series"].size() == 3);
  const json& eplb = option["series"][1];
  CHECK(eplb["name"] == "eplb, measured");
  CHECK(eplb["color"] == series_colour(3));
  CHECK(eplb["data"] == json::array({{64.0, 1.5}, {128.0, 3.0}}));
  CHECK(option["series"][2]["data"] == json::array({{32.0, 2.0}}));
  CHECK(option["series"][2]["color"] != series_colour(3));
}

TEST_CASE("A time without a unit is refused with its place") {
  CHECK_THROWS_WITH_AS(marked("series,x,y\neplb,64,1500\n"), doctest::Contains("mine.csv:2:"),
                       InputError);
  CHECK_THROWS_WITH_AS(marked("series,x,y\neplb,many,1 ms\n"), doctest::Contains("mine.csv:2:6"),
                       InputError);
  CHECK_THROWS_WITH_AS(marked("series,x\neplb,64\n"),
                       doctest::Contains("y: the table has no such column"), InputError);
  CHECK_THROWS_WITH_AS(marked("series,x,y\n"), doctest::Contains("no measured point"), InputError);
}

TEST_CASE("A chart of categories or of several panels takes no measured points") {
  json bars = chart();
  bars["xAxis"] = category_axis("plan", {"a"});
  CHECK_THROWS_WITH_AS(marked("series,x,y\na,1,1 ms\n", bars), doctest::Contains("numeric axes"),
                       InputError);
  json panels = chart_option(0, "");
  add_panel(panels, "one", value_axis("a"), value_axis("b"));
  CHECK_THROWS_AS(marked("series,x,y\na,1,1\n", panels), InputError);
}
