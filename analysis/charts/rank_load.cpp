// Token copies each rank computes in a step: how evenly a placement spreads the load.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

double mean_copies(const PointResult& point) {
  double total = 0;
  for (const RankResult& rank : point.ranks_detail) total += static_cast<double>(rank.copies);
  return total / static_cast<double>(point.ranks_detail.size());
}

json rank_load(const StudyResult& study) {
  const auto points =
      points_with(study, [](const PointResult& point) { return !point.ranks_detail.empty(); });
  if (points.empty()) return nullptr;
  json option = chart_option(380, "@count");
  std::size_t ranks = 0;
  for (const PointResult* point : points) ranks = std::max(ranks, point->ranks_detail.size());
  const bool bars = ranks * points.size() <= 96;  // more would be thinner than a reader can follow
  option["grid"] = {{"left", 74}, {"right", 96}, {"top", 44}, {"bottom", 52}};
  option["xAxis"] = category_axis("rank", numbered(ranks));
  option["yAxis"] = value_axis("token copies a step");
  option["yAxis"]["axisLabel"] = {{"formatter", "@count"}};
  option["yAxis"]["nameGap"] = 54;
  for (std::size_t i = 0; i < points.size(); ++i) {
    json data = json::array();
    for (const RankResult& rank : points[i]->ranks_detail) data.push_back(rank.copies);
    json series = {{"type", bars ? "bar" : "line"},
                   {"name", points[i]->label},
                   {"color", series_colour(i)},
                   {"data", data}};
    if (!bars) {
      series["step"] = "middle";
      series["symbol"] = "none";
      series["lineStyle"] = {{"width", 1.5}};
    }
    if (i == 0)
      series["markLine"] = reference_line("yAxis", rounded(mean_copies(*points[0])), "mean");
    option["series"].push_back(series);
  }
  return option;
}

const Registered<ChartPart> registered{
    "rank_load",
    "token copies each rank computes in a step, by plan",
    {"Load of each rank",
     "How evenly does each placement spread the token copies? The tallest rank is the one the "
     "others wait for.",
     30, rank_load}};

}  // namespace
}  // namespace moesim
