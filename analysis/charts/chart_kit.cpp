// Colours, axes and panels of the report's charts.
#include "analysis/charts/chart_kit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/compare/comparison.h"

namespace moesim {

using nlohmann::json;

namespace {
constexpr int kPanelsTop = 44;    // below the legend
constexpr int kPanelTitle = 22;   // above each grid
constexpr int kPanelBelow = 52;   // axis labels and name
constexpr int kPanelsLeft = 74;   // room for labels and name of the y axis
constexpr int kPanelsRight = 96;  // room for the words at a reference line's end
}  // namespace

std::string series_colour(std::size_t index) {
  constexpr std::array colours{0x0072B2, 0xE69F00, 0x009E73, 0xD55E00,
                               0x56B4E9, 0xCC79A7, 0x999999, 0xF0E442};
  struct Tint {
    int towards;   // of each channel
    double share;  // of the way
  };
  constexpr std::array tints{Tint{0, 0}, Tint{255, 0.55}, Tint{0, 0.45}};
  const int colour = colours.at(index % colours.size());
  const Tint tint = tints.at(index / colours.size() % tints.size());
  std::string text = "#";
  for (const int shift : {16, 8, 0}) {
    const int channel = colour >> shift & 255;
    text += fmt::format(
        "{:02X}", static_cast<int>(std::lround(channel + tint.share * (tint.towards - channel))));
  }
  return text;
}

TimeUnit time_unit(double largest) {
  for (const TimeUnit& unit : {TimeUnit{1, "s"}, TimeUnit{1e-3, "ms"}, TimeUnit{1e-6, "us"}})
    if (largest >= unit.seconds) return unit;
  return {1e-9, "ns"};
}

double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

json value_axis(const std::string& name) {
  return {{"type", "value"},
          {"name", name},
          {"nameLocation", "middle"},
          {"nameGap", 46},
          {"splitLine", {{"lineStyle", {{"color", "#e8ebef"}}}}}};
}

json category_axis(const std::string& name, const std::vector<std::string>& categories) {
  return {{"type", "category"}, {"name", name},       {"nameLocation", "middle"},
          {"nameGap", 28},      {"data", categories}, {"axisTick", {{"show", false}}}};
}

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

json chart_option(int height, const std::string& formatter) {
  return {{"moesim", {{"height", height}}},
          {"textStyle", {{"fontFamily", "inherit"}}},
          {"legend", {{"type", "scroll"}, {"top", 0}, {"left", 0}, {"itemGap", 18}}},
          {"tooltip",
           {{"trigger", "axis"},
            {"axisPointer", {{"type", "shadow"}}},
            {"confine", true},
            {"valueFormatter", formatter}}},
          {"series", json::array()}};
}

json line_series(const std::string& name, std::size_t index, const json& data) {
  return {{"type", "line"},
          {"name", name},
          {"color", series_colour(index)},
          {"symbolSize", 5},
          {"data", data}};
}

json reference_line(const std::string& axis, double value, const std::string& name) {
  return {{"silent", true},
          {"symbol", "none"},
          {"animation", false},
          {"lineStyle", {{"color", "#1c2430"}, {"type", "dashed"}, {"width", 1.4}}},
          {"label", {{"formatter", name}, {"position", "end"}, {"color", "#1c2430"}}},
          {"data", json::array({{{axis, value}}})}};
}

int add_panel(json& option, const std::string& title, json x_axis, json y_axis, int panel_height) {
  const int index = static_cast<int>(option.value("grid", json::array()).size());
  int top = kPanelsTop;
  for (const json& grid : option.value("grid", json::array()))
    top = grid["top"].get<int>() + grid["height"].get<int>() + kPanelBelow;
  x_axis["gridIndex"] = index;
  y_axis["gridIndex"] = index;
  option["xAxis"].push_back(std::move(x_axis));
  option["yAxis"].push_back(std::move(y_axis));
  option["grid"].push_back({{"top", top + kPanelTitle},
                            {"height", panel_height},
                            {"left", kPanelsLeft},
                            {"right", kPanelsRight}});
  option["title"].push_back({{"text", title},
                             {"top", top},
                             {"left", kPanelsLeft},
                             {"padding", 0},
                             {"textStyle", {{"fontSize", 13}, {"fontWeight", "bold"}}}});
  option["moesim"]["height"] = top + kPanelTitle + panel_height + kPanelBelow;
  return index;
}

std::vector<const PointResult*> panel_points(const StudyResult& study,
                                             const std::vector<const PointResult*>& points,
                                             json& option) {
  constexpr std::size_t kPanels = 4;  // more and the page is all panels
  if (points.size() <= kPanels) return points;
  std::vector<const PointResult*> shown(points.begin(), points.begin() + kPanels);
  const auto best = best_point(study);
  const PointResult* best_of_study = best ? &study.points[*best] : shown.back();
  if (std::find(points.begin(), points.end(), best_of_study) != points.end() &&
      std::find(shown.begin(), shown.end(), best_of_study) == shown.end())
    shown.back() = best_of_study;
  option["moesim"]["note"] =
      fmt::format("Drawn for {} of {} plans, the best among them.", shown.size(), points.size());
  return shown;
}

}  // namespace moesim
