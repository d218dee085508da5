// The links that carry most in a step, by their utilisation, side by side for the plans.
#include <algorithm>
#include <map>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;
using Points = std::vector<const PointResult*>;

constexpr std::size_t kLinks = 16;

std::string name_of(const LinkResult& link) {
  return link.tier.empty() ? link.name : link.name + " (" + link.tier + ")";
}

// The links of highest utilisation in any plan, busiest first.
std::vector<std::string> busiest(const Points& points) {
  std::map<std::string, double> highest;
  for (const PointResult* point : points)
    for (const LinkResult& link : point->links)
      highest[name_of(link)] = std::max(highest[name_of(link)], link.utilisation);
  std::vector<std::pair<std::string, double>> order(highest.begin(), highest.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kLinks, order.size()); ++i) names.push_back(order[i].first);
  return names;
}

// A result keeps a plan's busiest links only: one that is not among them is left blank, not zero.
json values(const PointResult& point,
            const std::vector<std::string>& names,
            double LinkResult::*share) {
  json data = json::array();
  for (const std::string& name : names) {
    const auto found =
        std::find_if(point.links.begin(), point.links.end(),
                     [&name](const LinkResult& link) { return name_of(link) == name; });
    data.push_back(found == point.links.end() ? json(nullptr) : json(rounded((*found).*share)));
  }
  return data;
}

json busiest_links(const StudyResult& study) {
  const Points points =
      points_with(study, [](const PointResult& point) { return !point.links.empty(); });
  if (points.empty()) return nullptr;
  json option = chart_option(0, "@percent");
  const Points shown = panel_points(study, points, option);
  const std::vector<std::string> names = busiest(shown);
  const int bars = static_cast<int>(names.size() * shown.size());
  option["moesim"]["height"] = 110 + 10 * static_cast<int>(names.size()) + 10 * bars;
  option["grid"] = {
      {"left", 10}, {"right", 30}, {"top", 44}, {"bottom", 46}, {"containLabel", true}};
  option["xAxis"] = value_axis("share of the link's bandwidth used");
  option["xAxis"]["nameGap"] = 30;
  option["xAxis"]["axisLabel"] = {{"formatter", "@percent"}};
  option["yAxis"] = category_axis("", names);
  option["yAxis"]["inverse"] = true;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    option["series"].push_back({{"type", "bar"},
                                {"name", shown[i]->label + ", whole step"},
                                {"color", series_colour(i)},
                                {"data", values(*shown[i], names, &LinkResult::utilisation)}});
    option["series"].push_back({{"type", "scatter"},
                                {"name", shown[i]->label + ", while exchanging"},
                                {"symbol", "diamond"},
                                {"symbolSize", 9},
                                {"color", series_colour(i)},
                                {"data", values(*shown[i], names, &LinkResult::busy_share)}});
  }
  return option;
}

const Registered<ChartPart> registered{
    "busiest_links",
    "the links of highest utilisation, over the step and over its exchanges",
    {"Busiest links",
     "Is the network the limit? Bytes over a link as a share of what it could have carried: in the "
     "whole step (bars) and in the time spent in exchanges (diamonds).",
     70, busiest_links}};

}  // namespace
}  // namespace moesim
