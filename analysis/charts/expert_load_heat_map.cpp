// Expert load by layer and expert, relative to the layer's mean. The load is the routing's own, the
// same under every plan, so it is drawn once for each distinct one.
#include <algorithm>
#include <numeric>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

// Steps of equal ratio about 1, so that half the mean and twice the mean weigh alike. Colours: the
// diverging red-blue scheme of ColorBrewer (safe for colour-blind readers).
json colour_steps() {
  json steps = json::array();
  const auto step = [&steps](double from, double to, const char* label, const char* colour) {
    json piece = {{"label", label}, {"color", colour}};
    if (from > 0) piece["gte"] = from;
    if (to > 0) piece["lt"] = to;
    steps.push_back(piece);
  };
  step(0, 0.25, "under 0.25x the mean", "#2166ac");
  step(0.25, 0.5, "0.25x - 0.5x", "#67a9cf");
  step(0.5, 0.8, "0.5x - 0.8x", "#d1e5f0");
  step(0.8, 1.25, "0.8x - 1.25x", "#f2f2f2");
  step(1.25, 2, "1.25x - 2x", "#fddbc7");
  step(2, 4, "2x - 4x", "#ef8a62");
  step(4, 0, "4x and over", "#b2182b");
  return {{"type", "piecewise"}, {"orient", "horizontal"}, {"left", 0},       {"top", 0},
          {"dimension", 2},      {"itemGap", 14},          {"itemWidth", 18}, {"pieces", steps}};
}

json cells(const std::vector<std::vector<std::uint64_t>>& load) {
  json data = json::array();
  for (std::size_t row = 0; row < load.size(); ++row) {
    const double total = std::accumulate(load[row].begin(), load[row].end(), 0.0);
    const double mean = total / static_cast<double>(std::max<std::size_t>(load[row].size(), 1));
    for (std::size_t expert = 0; expert < load[row].size(); ++expert) {
      const double ratio = mean > 0 ? static_cast<double>(load[row][expert]) / mean : 0;
      data.push_back({expert, row, rounded(ratio), load[row][expert]});
    }
  }
  return data;
}

void draw(json& option, const PointResult& point, const std::string& title) {
  std::vector<std::string> layers;
  for (const int layer : point.expert_load_layers) layers.push_back(std::to_string(layer));
  json y_axis = category_axis("layer", layers);
  y_axis["inverse"] = true;
  y_axis["nameGap"] = 36;
  const int rows = static_cast<int>(point.expert_load.size());
  std::size_t experts = 0;
  for (const auto& row : point.expert_load) experts = std::max(experts, row.size());
  const int panel = add_panel(option, title, category_axis("expert", numbered(experts)), y_axis,
                              std::clamp(20 * rows, 120, 620));
  option["grid"][static_cast<std::size_t>(panel)]["right"] = 12;
  json series = {{"type", "heatmap"},
                 {"name", title},
                 {"xAxisIndex", panel},
                 {"yAxisIndex", panel},
                 {"dimensions", {"expert", "layer", "times the layer's mean", "token copies"}},
                 {"encode", {{"x", 0}, {"y", 1}, {"value", 2}, {"tooltip", {0, 1, 2, 3}}}},
                 {"data", cells(point.expert_load)}};
  if (experts <= 64) series["itemStyle"] = {{"borderColor", "#fff"}, {"borderWidth", 1}};
  option["series"].push_back(series);
}

json expert_load_heat_map(const StudyResult& study) {
  std::vector<const PointResult*> distinct;
  for (const PointResult& point : study.points) {
    const auto same = [&point](const PointResult* other) {
      return other->expert_load == point.expert_load;
    };
    if (!point.expert_load.empty() && std::none_of(distinct.begin(), distinct.end(), same))
      distinct.push_back(&point);
  }
  if (distinct.empty()) return nullptr;
  json option = chart_option(0, "@count");
  option.erase("legend");
  option["tooltip"] = {{"trigger", "item"}, {"confine", true}};
  option["visualMap"] = colour_steps();
  for (const PointResult* point : panel_points(study, distinct, option))
    draw(option, *point, distinct.size() == 1 ? "every plan" : point->label);
  return option;
}

const Registered<ChartPart> registered{
    "expert_load_heat_map",
    "expert load by layer and expert, relative to the layer's mean",
    {"Expert load by layer",
     "Which experts does the routing favour? Token copies of each expert, as a multiple of its "
     "layer's mean.",
     60, expert_load_heat_map}};

}  // namespace
}  // namespace moesim
