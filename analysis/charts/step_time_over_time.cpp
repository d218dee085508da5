// The step time of every plan in each window of the trace: does a placement still hold tomorrow?
#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/charts/chart_kit.h"
#include "analysis/charts/windows_kit.h"

namespace moesim {
namespace {

nlohmann::json step_time_over_time(const StudyResult& study) {
  double most = 0;
  for (const PointResult& point : study.points)
    for (const WindowResult& window : point.windows) most = std::max(most, window.step_time);
  const TimeUnit unit = time_unit(most);
  nlohmann::json option =
      over_windows(study, "step time (" + unit.name + ")", "@unit:" + unit.name,
                   [&](const WindowResult& window) { return window.step_time / unit.seconds; });
  if (!option.is_null()) option["yAxis"]["scale"] = true;  // plans lie close together
  return option;
}

const Registered<ChartPart> registered{
    "step_time_over_time",
    "step time in each window of the trace, by plan",
    {"Step time over the trace",
     "Does a placement still hold later on? Mean step of each window; placements saw none of their "
     "rows. The axis does not begin at zero.",
     5, step_time_over_time}};

}  // namespace
}  // namespace moesim
