// Windows are numbered from 0 in the order of the trace.
#include "analysis/charts/windows_kit.h"

#include <algorithm>

#include "analysis/charts/chart_kit.h"

namespace moesim {

nlohmann::json over_windows(const StudyResult& study,
                            const std::string& axis,
                            const std::string& formatter,
                            const std::function<double(const WindowResult&)>& value_of) {
  const auto points =
      points_with(study, [](const PointResult& point) { return point.windows.size() > 1; });
  if (points.empty()) return nullptr;
  nlohmann::json option = chart_option(340, formatter);
  std::size_t most = 0;
  for (const PointResult* point : points) most = std::max(most, point->windows.size());
  option["tooltip"]["axisPointer"]["type"] = "line";
  option["grid"] = {{"left", 74}, {"right", 96}, {"top", 44}, {"bottom", 52}};
  option["xAxis"] = category_axis("window", numbered(most));
  option["yAxis"] = value_axis(axis);
  for (std::size_t i = 0; i < points.size(); ++i) {
    nlohmann::json data = nlohmann::json::array();
    for (const WindowResult& window : points[i]->windows) data.push_back(rounded(value_of(window)));
    option["series"].push_back(line_series(points[i]->label, i, data));
  }
  return option;
}

}  // namespace moesim
