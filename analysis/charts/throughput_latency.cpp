// Tokens per second and GPU against the time of a step, over the batch: what speed for one user
// costs in work for all.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/charts/curves_kit.h"
#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr const char* kThroughput = "tokens_per_second_per_gpu";

// Of a token where one request waits for it, else of the step.
const Metric* time_of(const PointResult& point) {
  const Metric* token = find_metric(point, "time_per_output_token");
  return token != nullptr ? token : find_metric(point, "step_time");
}

// One end of the band: a slow step is a low throughput.
json band_series(const Curve& curve, std::size_t index, const TimeUnit& unit, bool fast) {
  json data = json::array();
  for (const Curve::At& at : curve.points) {
    const Metric* time = time_of(*at.point);
    const Metric* tokens = find_metric(*at.point, kThroughput);
    if (time == nullptr || tokens == nullptr) continue;
    data.push_back({rounded((fast ? time->low : time->high) / unit.seconds),
                    rounded(fast ? tokens->high : tokens->low)});
  }
  json series = line_series(curve.name, index, data);  // the legend hides it with its curve
  draw_as_band(series);
  series["tooltip"] = {{"show", false}};
  return series;
}

// The largest batch that fits is hollow where the study has a larger one that does not.
json curve_series(const Curve& curve, std::size_t index, const TimeUnit& unit) {
  json data = json::array();
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const PointResult& point = *curve.points[i].point;
    const Metric* time = time_of(point);
    const Metric* tokens = find_metric(point, kThroughput);
    if (time == nullptr || tokens == nullptr) continue;
    json one{{"value", {rounded(time->value / unit.seconds), rounded(tokens->value)}},
             {"name", fmt::format("{:g} a rank", curve.points[i].along)},
             {"symbolSize", 8}};
    const bool wall = i + 1 < curve.points.size() && !curve.points[i + 1].point->ran;
    one["symbol"] = wall ? "emptyCircle" : "circle";
    if (wall) one["symbolSize"] = 13;
    data.push_back(std::move(one));
  }
  json series = line_series(curve.name, index, data);
  series["label"] = {{"show", true}, {"formatter", "{b}"}, {"position", "top"}, {"fontSize", 10}};
  series["labelLayout"] = {{"hideOverlap", true}};
  return series;
}

std::string memory_note(const std::vector<Curve>& curves) {
  std::string note;
  for (const Curve& curve : curves) {
    const auto first = std::find_if(curve.points.begin(), curve.points.end(),
                                    [](const Curve::At& at) { return !at.point->ran; });
    if (first != curve.points.end())
      note += fmt::format("{}{}: {:g} a rank", note.empty() ? "" : "; ", curve.name, first->along);
  }
  if (note.empty()) return "Dotted: the band.";
  return "Dotted: the band. Hollow: the largest batch that fits memory; the first that does not, "
         "and has no figures: " +
         note + ".";
}

json throughput_latency(const StudyResult& study) {
  const std::vector<Curve> curves = curves_over_batch(study);
  double longest = 0;
  for (const Curve& curve : curves)
    for (const Curve::At& at : curve.points)
      if (const Metric* time = time_of(*at.point)) longest = std::max(longest, time->value);
  if (longest == 0) return nullptr;
  const TimeUnit unit = time_unit(longest);
  json option = chart_option(460, "@unit:tokens/s per GPU");
  option["tooltip"]["trigger"] = "item";
  option["grid"] = {{"left", 84}, {"right", 96}, {"top", 44}, {"bottom", 56}};
  const bool decode = study.points.front().phase == "decode";
  option["xAxis"] =
      value_axis(fmt::format("{}, {}", decode ? "time per output token" : "step time", unit.name));
  option["xAxis"]["nameGap"] = 28;
  option["yAxis"] = value_axis("tokens/s per GPU");
  option["yAxis"]["nameGap"] = 58;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    option["series"].push_back(band_series(curves[i], i, unit, true));
    option["series"].push_back(band_series(curves[i], i, unit, false));
    option["series"].push_back(curve_series(curves[i], i, unit));
  }
  const auto& [metric, most] = study.points.front().slo;
  if (!metric.empty())
    option["series"].back()["markLine"] =
        reference_line("xAxis", rounded(most / unit.seconds), "SLO " + quantity_text(most, "s"));
  option["moesim"]["note"] = memory_note(curves);
  return option;
}

const Registered<ChartPart> registered{
    "throughput_latency",
    "tokens/s per GPU against step time over the batch, a curve for each other varied value",
    {"Throughput against latency",
     "How much throughput does a faster step cost? A point for each batch, in tokens a rank.", 7,
     throughput_latency}};

}  // namespace
}  // namespace moesim
