// Why ranks wait, layer by layer: the wait of the mean rank by what made the others late. One panel
// a plan.
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

// Stacked parts reach the sum of what is above zero; a late rank's faster parts lie below.
struct Reach {
  double above = 0, below = 0;
};

Reach reach(const PointResult& point) {
  Reach most;
  for (const WaitResult& wait : point.waits) {
    Reach one;
    for (const double seconds : wait.by_cause) (seconds > 0 ? one.above : one.below) += seconds;
    most = {std::max(most.above, one.above), std::min(most.below, one.below)};
  }
  return most;
}

std::vector<std::string> layer_names(const PointResult& point) {
  std::vector<std::string> names;
  for (const WaitResult& wait : point.waits)
    names.push_back(wait.layer < 0 ? "end" : std::to_string(wait.layer));
  return names;
}

void draw(json& option, const PointResult& point, const TimeUnit& unit, const Reach& scale) {
  json y_axis = value_axis("wait, " + unit.name);
  y_axis["max"] = rounded(scale.above / unit.seconds);
  if (scale.below < 0) y_axis["min"] = rounded(scale.below / unit.seconds);
  y_axis["axisLabel"] = {{"showMaxLabel", false}};
  const int panel =
      add_panel(option, point.label, category_axis("layer", layer_names(point)), y_axis, 180);
  for (std::size_t cause = 0; cause < point.wait_causes.size(); ++cause) {
    json data = json::array();
    bool any = false;
    for (const WaitResult& wait : point.waits) {
      data.push_back(rounded(wait.by_cause.at(cause) / unit.seconds));
      any = any || wait.by_cause[cause] != 0;
    }
    if (!any) continue;
    option["series"].push_back({{"type", "bar"},
                                {"name", point.wait_causes[cause]},
                                {"stack", "panel " + std::to_string(panel)},
                                {"xAxisIndex", panel},
                                {"yAxisIndex", panel},
                                {"barCategoryGap", point.waits.size() > 64 ? "0%" : "25%"},
                                {"color", series_colour(cause)},
                                {"data", data}});
  }
}

json wait_by_cause(const StudyResult& study) {
  const auto points = points_with(study, [](const PointResult& point) {
    const Reach most = reach(point);
    return most.above > 0 || most.below < 0;
  });
  if (points.empty()) return nullptr;
  json option = chart_option(0, "");
  const auto shown = panel_points(study, points, option);
  Reach scale;
  for (const PointResult* point : shown) {
    const Reach one = reach(*point);
    scale = {std::max(scale.above, one.above * 1.05), std::min(scale.below, one.below * 1.05)};
  }
  const TimeUnit unit = time_unit(std::max(scale.above, -scale.below));
  option["tooltip"]["valueFormatter"] = "@unit:" + unit.name;
  for (const PointResult* point : shown) draw(option, *point, unit, scale);
  return option;
}

const Registered<ChartPart> registered{
    "wait_by_cause",
    "the mean rank's waiting by layer and by what made the others late, one panel a plan",
    {"Why ranks wait",
     "What makes ranks wait, and in which layers? The mean rank's wait by what the late rank lost "
     "its time with: attention over longer contexts, more token copies for its experts, ingress of "
     "exchanges, more tokens, noise or the host. Below zero: in what the late rank was faster.",
     41, wait_by_cause}};

}  // namespace
}  // namespace moesim
