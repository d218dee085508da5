// Dispatch and combine against tokens a rank, by algorithm: from which batch on another one wins.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/charts/curves_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

bool varies_algorithm(const StudyResult& study) {
  return std::any_of(study.points.front().varied.begin(), study.points.front().varied.end(),
                     [](const auto& pair) { return pair.first.starts_with("plan.all_to_all"); });
}

double exchange_time(const PointResult& point) {
  const Metric* dispatch = find_metric(point, "dispatch");
  const Metric* combine = find_metric(point, "combine");
  return dispatch != nullptr && combine != nullptr ? dispatch->value + combine->value : 0;
}

double end_of_band(const PointResult& point, double Metric::*end) {
  return find_metric(point, "dispatch")->*end + find_metric(point, "combine")->*end;
}

// The curve, and its band as two dotted lines of the same name.
void add_curve(json& option, const Curve& curve, std::size_t index, const TimeUnit& unit) {
  json middle = json::array(), low = json::array(), high = json::array();
  for (const Curve::At& at : curve.points) {
    const double time = exchange_time(*at.point);
    if (time <= 0) continue;
    middle.push_back({at.along, rounded(time / unit.seconds)});
    low.push_back({at.along, rounded(end_of_band(*at.point, &Metric::low) / unit.seconds)});
    high.push_back({at.along, rounded(end_of_band(*at.point, &Metric::high) / unit.seconds)});
  }
  for (const json& end : {low, high}) {
    json series = line_series(curve.name, index, end);
    draw_as_band(series);
    option["series"].push_back(std::move(series));
  }
  option["series"].push_back(line_series(curve.name, index, middle));
}

std::string mark_crossings(json& option, const std::vector<Curve>& curves) {
  std::string note;
  json lines = json::array();
  for (std::size_t a = 0; a < curves.size(); ++a) {
    for (std::size_t b = a + 1; b < curves.size(); ++b) {
      for (const double batch : crossings(curves[a], curves[b], exchange_time)) {
        lines.push_back({{"xAxis", rounded(batch)}});
        note += fmt::format("{}{} and {} cross at {:.0f} tokens a rank", note.empty() ? "" : "; ",
                            curves[a].name, curves[b].name, batch);
      }
    }
  }
  if (lines.empty()) return "No two curves cross.";
  json mark = reference_line("xAxis", 0, "{c}");
  mark["data"] = lines;
  option["series"].back()["markLine"] = mark;
  return note + ".";
}

json crossover(const StudyResult& study) {
  if (study.points.empty() || !varies_algorithm(study)) return nullptr;
  std::vector<Curve> curves = curves_over_batch(study);
  std::erase_if(curves, [](const Curve& curve) {
    return std::none_of(curve.points.begin(), curve.points.end(),
                        [](const Curve::At& at) { return exchange_time(*at.point) > 0; });
  });
  if (curves.empty()) return nullptr;
  double longest = 0;
  for (const Curve& curve : curves)
    for (const Curve::At& at : curve.points) longest = std::max(longest, exchange_time(*at.point));
  const TimeUnit unit = time_unit(longest);
  json option = chart_option(460, "@unit:" + unit.name);
  option["tooltip"]["axisPointer"]["type"] = "line";
  option["grid"] = {{"left", 84}, {"right", 96}, {"top", 44}, {"bottom", 56}};
  option["xAxis"] = log_axis("tokens a rank");
  option["xAxis"]["nameGap"] = 28;
  option["yAxis"] = log_axis("dispatch + combine of a step, " + unit.name);
  option["yAxis"]["nameGap"] = 58;
  for (std::size_t i = 0; i < curves.size(); ++i) add_curve(option, curves[i], i, unit);
  option["moesim"]["note"] = mark_crossings(option, curves) + " Dotted: the band.";
  return option;
}

const Registered<ChartPart> registered{
    "crossover",
    "dispatch + combine against tokens a rank, by all-to-all algorithm, crossings marked",
    {"Where algorithms cross",
     "From which batch on does another all-to-all win? Both axes are logarithmic.", 8, crossover}};

}  // namespace
}  // namespace moesim
