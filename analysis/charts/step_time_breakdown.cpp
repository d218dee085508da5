// The step of each plan as a stacked bar of its parts on the critical path, with the band of the
// whole.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

using nlohmann::json;
using Points = std::vector<const PointResult*>;

std::vector<std::string> kinds_of(const Points& points) {
  std::vector<std::string> kinds;
  for (const PointResult* point : points)
    for (const auto& part : point->breakdown)
      if (std::find(kinds.begin(), kinds.end(), part.first) == kinds.end())
        kinds.push_back(part.first);
  return kinds;
}

double seconds_of(const PointResult& point, const std::string& kind) {
  double seconds = 0;
  for (const auto& part : point.breakdown) seconds += part.first == kind ? part.second : 0;
  return seconds;
}

// The band as a whisker: its ends are marks of a scatter series, so that the axis reaches them, and
// the line between them a mark line.
json band_series(const Points& points, const TimeUnit& unit) {
  json ends = json::array();
  json lines = json::array();
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Metric* metric = find_metric(*points[i], "step_time");
    if (metric == nullptr || metric->high <= metric->low) continue;
    const double low = rounded(metric->low / unit.seconds);
    const double high = rounded(metric->high / unit.seconds);
    ends.push_back({low, i});
    ends.push_back({high, i});
    lines.push_back({{{"coord", {low, i}}}, {{"coord", {high, i}}}});
  }
  return {{"type", "scatter"},
          {"name", "band of the step time"},
          {"symbol", "rect"},
          {"symbolSize", {2, 14}},
          {"silent", true},
          {"tooltip", {{"show", false}}},
          {"itemStyle", {{"color", "#1c2430"}}},
          {"z", 5},
          {"data", ends},
          {"markLine",
           {{"silent", true},
            {"symbol", "none"},
            {"label", {{"show", false}}},
            {"lineStyle", {{"color", "#1c2430"}, {"type", "solid"}, {"width", 1.5}}},
            {"data", lines}}}};
}

json step_time_breakdown(const StudyResult& study) {
  const Points points =
      points_with(study, [](const PointResult& point) { return !point.breakdown.empty(); });
  if (points.empty()) return nullptr;
  double longest = 0;
  std::vector<std::string> labels;
  for (const PointResult* point : points) {
    labels.push_back(point->label);
    const Metric* metric = find_metric(*point, "step_time");
    if (metric) longest = std::max(longest, metric->value);
  }
  const TimeUnit unit = time_unit(longest);
  json option = chart_option(130 + 46 * static_cast<int>(points.size()), "@unit:" + unit.name);
  option["grid"] = {
      {"left", 10}, {"right", 30}, {"top", 44}, {"bottom", 46}, {"containLabel", true}};
  option["xAxis"] = value_axis("step time, " + unit.name);
  option["xAxis"]["nameGap"] = 30;
  option["yAxis"] = category_axis("", labels);
  option["yAxis"]["inverse"] = true;
  option["yAxis"]["axisLabel"] = {{"width", 230}, {"overflow", "break"}, {"lineHeight", 14}};
  for (const std::string& kind : kinds_of(points)) {
    json data = json::array();
    for (const PointResult* point : points)
      data.push_back(rounded(seconds_of(*point, kind) / unit.seconds));
    option["series"].push_back({{"type", "bar"},
                                {"name", kind_text(kind)},
                                {"stack", "step"},
                                {"barMaxWidth", 28},
                                {"color", series_colour(option["series"].size())},
                                {"data", data}});
  }
  const json band = band_series(points, unit);
  if (!band["data"].empty()) option["series"].push_back(band);
  return option;
}

const Registered<ChartPart> registered{
    "step_time_breakdown",
    "parts of the step on the critical path, one bar a plan, with the band",
    {"Where the step's time goes",
     "Which part of the step makes a plan slow? Parts on the critical path; the whisker is the "
     "band "
     "of the whole step.",
     10, step_time_breakdown}};

}  // namespace
}  // namespace moesim
