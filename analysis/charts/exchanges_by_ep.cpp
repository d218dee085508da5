// Dispatch and combine of a step against the size of the EP group.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/charts/curves_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

void add_points(json& line, const Curve& curve, double unit, const char* metric) {
  for (const Curve::At& at : curve.points)
    if (const Metric* time = find_metric(*at.point, metric))
      line["data"].push_back({at.along, rounded(time->value / unit)});
}

json exchanges_by_ep(const StudyResult& study) {
  const auto place = [](const PointResult& point) -> std::optional<double> {
    if (!point.ran || point.group_ranks < 2) return std::nullopt;
    return point.group_ranks;
  };
  const std::vector<Curve> curves = curves_along(study, place, false);
  const double longest = std::max(largest_of(curves, "dispatch"), largest_of(curves, "combine"));
  if (longest == 0) return nullptr;
  const TimeUnit unit = time_unit(longest);
  json option = chart_option(0, "@unit:" + unit.name);
  option["tooltip"]["axisPointer"]["type"] = "line";
  for (const char* metric : {"dispatch", "combine"}) {
    const int panel = add_panel(option, metric, log_axis("ranks of an EP group"),
                                value_axis(std::string("of a step, ") + unit.name));
    option["xAxis"].back()["nameGap"] = 28;
    option["xAxis"].back()["logBase"] = 2;
    for (std::size_t i = 0; i < curves.size(); ++i) {
      json line = line_series(curves[i].name, i, json::array());
      line["xAxisIndex"] = line["yAxisIndex"] = panel;
      add_points(line, curves[i], unit.seconds, metric);
      option["series"].push_back(std::move(line));
    }
  }
  return option;
}

const Registered<ChartPart> registered{
    "exchanges_by_ep",
    "dispatch and combine of a step against the size of the EP group",
    {"All-to-all by EP size", "How do dispatch and combine grow with the EP group?", 12,
     exchanges_by_ep}};

}  // namespace
}  // namespace moesim
