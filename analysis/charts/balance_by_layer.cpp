// Balancedness of the ranks in every MoE layer: where in the depth of the model a placement fails.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

bool has_moe_layer(const PointResult& point) {
  return std::any_of(point.layers.begin(), point.layers.end(),
                     [](const LayerResult& layer) { return layer.moe; });
}

json balance_by_layer(const StudyResult& study) {
  const auto points = points_with(study, has_moe_layer);
  if (points.empty()) return nullptr;
  json option = chart_option(340, "@unit:");
  int last = 0;
  for (const PointResult* point : points)
    for (const LayerResult& layer : point->layers) last = std::max(last, layer.layer);
  option["tooltip"]["axisPointer"]["type"] = "line";
  option["grid"] = {{"left", 74}, {"right", 96}, {"top", 44}, {"bottom", 52}};
  option["xAxis"] = category_axis("layer", numbered(static_cast<std::size_t>(last) + 1));
  option["yAxis"] = value_axis("balancedness (1 = even)");
  option["yAxis"]["min"] = 0;
  option["yAxis"]["max"] = 1;
  for (std::size_t i = 0; i < points.size(); ++i) {
    json data = json::array();
    for (const LayerResult& layer : points[i]->layers)
      if (layer.moe) data.push_back({layer.layer, rounded(layer.balancedness)});
    option["series"].push_back(line_series(points[i]->label, i, data));
  }
  return option;
}

const Registered<ChartPart> registered{
    "balance_by_layer",
    "balancedness of the ranks in every MoE layer, by plan",
    {"Balancedness by layer",
     "In which layers does a placement fail? Mean over largest number of token copies of a rank.",
     35, balance_by_layer}};

}  // namespace
}  // namespace moesim
