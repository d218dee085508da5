// What the charts share: colours that colour-blind readers tell apart, axes with names and units,
// and panels, one below the other, for charts drawn once a plan.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

// Colour number `index`: the palette of Okabe and Ito ("Color Universal Design", 2008), its yellow
// last because thin yellow marks are hard to see on white, then grey; after these eight the same
// lighter, then darker, then again.
std::string series_colour(std::size_t index);

// The unit in which `largest` has a number of one to three digits before the point.
struct TimeUnit {
  double seconds = 1;
  std::string name = "s";
};
TimeUnit time_unit(double largest);

// Four significant digits: enough for a tooltip, short in the page.
double rounded(double value);

// {"type": "value" / "category", "name": ..., ...}; `name` carries the unit.
nlohmann::json value_axis(const std::string& name);
nlohmann::json category_axis(const std::string& name, const std::vector<std::string>& categories);
std::vector<std::string> numbered(std::size_t count);  // "0", "1", ...

// An option with a scrolling legend at the top, a tooltip whose values go through `formatter`, and
// the height in pixels.
nlohmann::json chart_option(int height, const std::string& formatter);

// A thin dashed line with its name, for a series' markLine: "yAxis" or "xAxis" at `value`.
nlohmann::json reference_line(const std::string& axis, double value, const std::string& name);

// A line with small marks in colour number `index`.
nlohmann::json line_series(const std::string& name, std::size_t index, const nlohmann::json& data);

// Adds a panel (a grid with its two axes, each given as above) below those already there and
// returns its index: the xAxisIndex and yAxisIndex of its series. Grows the option's height.
int add_panel(nlohmann::json& option,
              const std::string& title,
              nlohmann::json x_axis,
              nlohmann::json y_axis,
              int panel_height = 210);

// Of `points`, at most four to draw a panel each, in study order, the study's best among them. When
// some are left out, a note below the chart says so.
std::vector<const PointResult*> panel_points(const StudyResult& study,
                                             const std::vector<const PointResult*>& points,
                                             nlohmann::json& option);

// The points `has` accepts.
template <class Has>
std::vector<const PointResult*> points_with(const StudyResult& study, Has has) {
  std::vector<const PointResult*> points;
  for (const PointResult& point : study.points)
    if (has(point)) points.push_back(&point);
  return points;
}

}  // namespace moesim
