// Tokens per second and GPU against GPUs, by plan, and the time that the objective bounds below it.
#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/charts/curves_kit.h"
#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr const char* kThroughput = "tokens_per_second_per_gpu";

// Each point of the curves a mark of the metric, in `scale` units.
void add_curves(json& option,
                const std::vector<Curve>& curves,
                const std::string& metric,
                double scale,
                int panel) {
  for (std::size_t i = 0; i < curves.size(); ++i) {
    json data = json::array();
    for (const Curve::At& at : curves[i].points)
      if (const Metric* found = find_metric(*at.point, metric))
        data.push_back(mark_of(at, found->value / scale));
    json series = line_series(curves[i].name, i, data);
    series["xAxisIndex"] = series["yAxisIndex"] = panel;
    option["series"].push_back(std::move(series));
  }
}

// What the objective bounds; without one, the step.
std::string time_metric(const std::vector<Curve>& curves) {
  const std::string& metric = curves.front().points.front().point->slo.first;
  return metric.empty() ? "step_time" : metric;
}

json throughput_by_gpus(const StudyResult& study) {
  const std::vector<Curve> curves = curves_over_gpus(study);
  if (curves.empty()) return nullptr;
  const std::string metric = time_metric(curves);
  const double longest = largest_of(curves, metric);
  if (longest == 0) return nullptr;
  const TimeUnit unit = time_unit(longest);
  json option = chart_option(0, "");
  option["tooltip"]["trigger"] = "item";
  const int rates =
      add_panel(option, "Throughput", value_axis("GPUs"), value_axis("tokens/s per GPU"));
  add_curves(option, curves, kThroughput, 1, rates);
  const int times = add_panel(option, kind_text(metric), value_axis("GPUs"), value_axis(unit.name));
  add_curves(option, curves, metric, unit.seconds, times);
  const double most = curves.front().points.front().point->slo.second;
  if (most > 0)
    option["series"].back()["markLine"] =
        reference_line("yAxis", rounded(most / unit.seconds), "SLO " + quantity_text(most, "s"));
  for (json& axis : option["xAxis"]) axis["nameGap"] = 28;
  option["moesim"]["note"] =
      "Of several batches the one with most tokens within the objective." + slo_note(curves);
  return option;
}

const Registered<ChartPart> registered{
    "throughput_by_gpus",
    "tokens/s per GPU and time per token against GPUs, by plan, with the objective's line",
    {"Throughput by number of GPUs",
     "How many GPUs carry how much, and within the objective (workload.slo)?", 9,
     throughput_by_gpus}};

}  // namespace
}  // namespace moesim
