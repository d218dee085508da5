// What a million tokens cost against GPUs, by plan.
#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/charts/curves_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr const char* kCost = "cost_per_million_tokens";

// One end of the band, or the cost itself.
json line_of(const Curve& curve, std::size_t index, double Metric::*end, bool band) {
  json data = json::array();
  for (const Curve::At& at : curve.points)
    if (const Metric* cost = find_metric(*at.point, kCost)) data.push_back(mark_of(at, cost->*end));
  json series = line_series(curve.name, index, data);
  if (!band) return series;
  draw_as_band(series);
  for (json& mark : series["data"]) mark["symbol"] = "none";
  series["tooltip"] = {{"show", false}};
  return series;
}

// The study's one currency; "" where it has none, or several.
std::string currency_of(const StudyResult& study) {
  std::string currency;
  for (const PointResult& point : study.points) {
    const Metric* cost = find_metric(point, kCost);
    if (cost == nullptr) continue;
    if (!currency.empty() && cost->unit != currency) return "";
    currency = cost->unit;
  }
  return currency;
}

json cost_by_gpus(const StudyResult& study) {
  const std::string currency = currency_of(study);
  const std::vector<Curve> curves = curves_over_gpus(study);
  if (currency.empty() || curves.empty()) return nullptr;
  json option = chart_option(460, "@unit:" + currency);
  option["tooltip"]["trigger"] = "item";
  option["grid"] = {{"left", 84}, {"right", 96}, {"top", 44}, {"bottom", 56}};
  option["xAxis"] = value_axis("GPUs");
  option["xAxis"]["nameGap"] = 28;
  option["yAxis"] = value_axis(currency + " per million tokens");
  option["yAxis"]["nameGap"] = 58;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    option["series"].push_back(line_of(curves[i], i, &Metric::low, true));
    option["series"].push_back(line_of(curves[i], i, &Metric::high, true));
    option["series"].push_back(line_of(curves[i], i, &Metric::value, false));
  }
  option["moesim"]["note"] =
      "Dotted: the band. Of several batches the one with most tokens within the objective." +
      slo_note(curves);
  return option;
}

const Registered<ChartPart> registered{
    "cost_by_gpus",
    "cost per million tokens against GPUs, by plan (wants cluster.price_per_gpu_hour)",
    {"Cost of a million tokens",
     "What does a million tokens cost at the GPUs' price (cluster.price_per_gpu_hour)?", 11,
     cost_by_gpus}};

}  // namespace
}  // namespace moesim
