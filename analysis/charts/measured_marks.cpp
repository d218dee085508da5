// Marks take the units of the axes they are drawn on.
#include "analysis/charts/measured_marks.h"

#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "analysis/charts/chart_kit.h"
#include "sim/core/units.h"
#include "sim/io/csv_reader.h"

namespace moesim {
namespace {

using nlohmann::json;

bool is_numeric(const json& axis) {
  return axis.is_object() && (axis.value("type", "") == "value" || axis.value("type", "") == "log");
}

// The seconds of an axis's unit, which stands behind a comma at the end of its name; 0: no time.
double seconds_of(const json& axis) {
  static const std::map<std::string, double> units{
      {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};
  const std::string name = axis.value("name", "");
  const std::size_t comma = name.rfind(", ");
  const auto found = units.find(comma == std::string::npos ? "" : name.substr(comma + 2));
  return found == units.end() ? 0 : found->second;
}

double value_on(const json& axis, const CsvCell& cell) {
  const double unit = seconds_of(axis);
  double value = 0;
  try {
    value = unit > 0 ? parse_seconds(cell.text).count() / unit : cell.as_number();
  } catch (const UnitError& error) {
    cell.fail(error.what());
  }
  if (axis["type"] == "log" && !(value > 0)) cell.fail("must be above 0");
  return rounded(value);
}

}  // namespace

void add_measured_marks(const std::string& csv_path, json& option) {
  if (!is_numeric(option.value("xAxis", json())) || !is_numeric(option.value("yAxis", json())))
    throw InputError("--measured: this chart has no pair of numeric axes to draw points on");
  CsvTable table;
  read_csv(csv_path, table);
  if (table.rows.empty()) throw InputError({csv_path, 1, 1, ""}, "holds no measured point");
  std::map<std::string, json> marks;
  for (const CsvRow& row : table.rows)
    marks[row.at("series").text].push_back(
        {value_on(option["xAxis"], row.at("x")), value_on(option["yAxis"], row.at("y"))});
  std::size_t fresh = option["series"].size();
  for (const auto& [name, data] : marks) {
    json colour = series_colour(fresh++);
    for (const json& series : option["series"])
      if (series.value("name", "") == name) colour = series.value("color", colour);
    option["series"].push_back({{"type", "scatter"},
                                {"name", name + ", measured"},
                                {"color", colour},
                                {"symbol", "diamond"},
                                {"symbolSize", 12},
                                {"itemStyle", {{"borderColor", "#1c2430"}, {"borderWidth", 1}}},
                                {"data", data}});
  }
}

}  // namespace moesim
