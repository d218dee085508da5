// Each rank's step as compute, exchange and wait: who waits for whom. One panel a plan.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

struct Part {
  const char* name;
  double RankResult::*seconds;
};
constexpr Part kParts[] = {{"compute", &RankResult::compute},
                           {"exchange", &RankResult::exchange},
                           {"wait", &RankResult::wait}};

double total(const RankResult& rank) { return rank.compute + rank.exchange + rank.wait; }

void draw(json& option, const PointResult& point, const TimeUnit& unit, double longest) {
  const std::size_t ranks = point.ranks_detail.size();
  json y_axis = value_axis("time, " + unit.name);
  y_axis["max"] = rounded(longest / unit.seconds);
  y_axis["axisLabel"] = {{"showMaxLabel", false}};
  const int panel =
      add_panel(option, point.label, category_axis("rank", numbered(ranks)), y_axis, 180);
  for (std::size_t i = 0; i < std::size(kParts); ++i) {
    json data = json::array();
    for (const RankResult& rank : point.ranks_detail)
      data.push_back(rounded(rank.*kParts[i].seconds / unit.seconds));
    option["series"].push_back({{"type", "bar"},
                                {"name", kParts[i].name},
                                {"stack", "panel " + std::to_string(panel)},
                                {"xAxisIndex", panel},
                                {"yAxisIndex", panel},
                                {"barCategoryGap", ranks > 64 ? "0%" : "25%"},
                                {"color", i == 2 ? "#d5d9de" : series_colour(i)},
                                {"data", data}});
  }
}

json rank_time(const StudyResult& study) {
  const auto points =
      points_with(study, [](const PointResult& point) { return !point.ranks_detail.empty(); });
  if (points.empty()) return nullptr;
  json option = chart_option(0, "");
  const auto shown = panel_points(study, points, option);
  double longest = 0;
  for (const PointResult* point : shown)
    for (const RankResult& rank : point->ranks_detail) longest = std::max(longest, total(rank));
  const TimeUnit unit = time_unit(longest);
  option["tooltip"]["valueFormatter"] = "@unit:" + unit.name;
  for (const PointResult* point : shown) draw(option, *point, unit, longest * 1.05);
  return option;
}

const Registered<ChartPart> registered{
    "rank_time",
    "each rank's step as compute, exchange and wait, one panel a plan",
    {"Who waits for whom",
     "Which ranks lose time waiting? Every rank's step as compute, exchange and wait; the "
     "straggler "
     "waits least.",
     40, rank_time}};

}  // namespace
}  // namespace moesim
