// How much of its bandwidth every group of links uses, exchange by exchange of the step: where the
// network limits, and whether it is always the same place.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

// Five even steps of one hue: the sequential scheme "Blues" of ColorBrewer.
json colour_steps() {
  json pieces = json::array();
  const auto piece = [&pieces](double from, double to, const char* label, const char* colour) {
    pieces.push_back({{"gte", from}, {"lt", to}, {"label", label}, {"color", colour}});
  };
  piece(0, 0.2, "under 20 %", "#eff3ff");
  piece(0.2, 0.4, "20 - 40 %", "#bdd7e7");
  piece(0.4, 0.6, "40 - 60 %", "#6baed6");
  piece(0.6, 0.8, "60 - 80 %", "#3182bd");
  piece(0.8, 1.01, "80 % and over", "#08519c");
  return {{"type", "piecewise"}, {"orient", "horizontal"}, {"left", 0},       {"top", 0},
          {"dimension", 2},      {"itemGap", 14},          {"itemWidth", 18}, {"pieces", pieces}};
}

std::vector<std::string> exchange_names(const PointResult& point) {
  std::vector<std::string> names;
  for (const BottleneckResult& exchange : point.bottlenecks)
    names.push_back(std::to_string(exchange.layer) + " " + exchange.kind);
  return names;
}

json cells(const PointResult& point) {
  json data = json::array();
  for (std::size_t row = 0; row < point.link_use.size(); ++row) {
    const std::vector<double>& use = point.link_use[row].utilisation;
    for (std::size_t exchange = 0; exchange < use.size(); ++exchange)
      data.push_back({exchange, row, rounded(use[exchange])});
  }
  return data;
}

void draw(json& option, const PointResult& point) {
  std::vector<std::string> rows;
  for (const LinkUse& use : point.link_use) rows.push_back(use.name);
  json y_axis = category_axis("", rows);
  y_axis["inverse"] = true;
  const int height = std::clamp(8 * static_cast<int>(rows.size()), 140, 900);
  const int panel =
      add_panel(option, point.label,
                category_axis("exchange: layer and kind", exchange_names(point)), y_axis, height);
  option["grid"][static_cast<std::size_t>(panel)]["right"] = 12;
  option["grid"][static_cast<std::size_t>(panel)]["left"] = 170;
  option["series"].push_back(
      {{"type", "heatmap"},
       {"name", point.label},
       {"xAxisIndex", panel},
       {"yAxisIndex", panel},
       {"dimensions", {"exchange", "links", "bandwidth used"}},
       {"encode", {{"x", 0}, {"y", 1}, {"value", 2}, {"tooltip", {0, 1, 2}}}},
       {"data", cells(point)}});
}

json link_use_heat_map(const StudyResult& study) {
  const auto points =
      points_with(study, [](const PointResult& point) { return !point.link_use.empty(); });
  if (points.empty()) return nullptr;
  json option = chart_option(0, "@percent");
  option.erase("legend");
  option["tooltip"] = {{"trigger", "item"}, {"confine", true}};
  option["visualMap"] = colour_steps();
  for (const PointResult* point : panel_points(study, points, option)) draw(option, *point);
  return option;
}

const Registered<ChartPart> registered{
    "link_use_heat_map",
    "share of bandwidth used by tier, rank and exchange over the step",
    {"Links over the step",
     "Where does the network limit, and is it always the same place? Share of its bandwidth that "
     "the busiest of each group of links uses during each exchange, from dispatch to combine, "
     "layer by layer.",
     72, link_use_heat_map}};

}  // namespace
}  // namespace moesim
