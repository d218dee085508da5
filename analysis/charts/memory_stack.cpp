// What fills the memory of each GPU, against its capacity; one panel a plan, also for plans that do
// not fit.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr double kGiB = 1073741824.0;

double fullest(const MemoryResult& memory) {
  double most = 0;
  for (const auto& rank : memory.by_rank)
    most = std::max(most, std::accumulate(rank.begin(), rank.end(), 0.0));
  return most;
}

void draw(json& option, const PointResult& point, double top) {
  const MemoryResult& memory = point.memory;
  json y_axis = value_axis("memory, GiB");
  y_axis["max"] = top;
  const int panel = add_panel(option, point.label,
                              category_axis("rank", numbered(memory.by_rank.size())), y_axis);
  for (std::size_t kind = 0; kind < memory.kinds.size(); ++kind) {
    json data = json::array();
    for (const auto& rank : memory.by_rank)
      data.push_back(kind < rank.size() ? rounded(rank[kind] / kGiB) : 0.0);
    json series = {{"type", "bar"},
                   {"name", kind_text(memory.kinds[kind])},
                   {"stack", "panel " + std::to_string(panel)},
                   {"xAxisIndex", panel},
                   {"yAxisIndex", panel},
                   {"barCategoryGap", memory.by_rank.size() > 64 ? "0%" : "25%"},
                   {"color", series_colour(kind)},
                   {"data", data}};
    if (kind == 0)
      series["markLine"] = reference_line("yAxis", rounded(memory.capacity / kGiB), "capacity");
    option["series"].push_back(series);
  }
}

json memory_stack(const StudyResult& study) {
  const auto points =
      points_with(study, [](const PointResult& point) { return !point.memory.by_rank.empty(); });
  if (points.empty()) return nullptr;
  json option = chart_option(0, "@unit:GiB");
  const auto shown = panel_points(study, points, option);
  double most = 0;  // one scale for all panels, or they could not be compared
  for (const PointResult* point : shown)
    most = std::max({most, point->memory.capacity, fullest(point->memory)});
  const double top = std::ceil(most / kGiB * 1.05 / 10) * 10;
  for (const PointResult* point : shown) draw(option, *point, top);
  return option;
}

const Registered<ChartPart> registered{
    "memory_stack",
    "memory of each GPU by kind against its capacity, one panel a plan",
    {"What fills each GPU's memory",
     "Does the plan fit, and what takes the room? Bytes by kind on every rank at the fullest "
     "moment "
     "of the step.",
     50, memory_stack}};

}  // namespace
}  // namespace moesim
