// One chart as a page of its own, or as SVG or PNG for papers, drawn by Node from the same option.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "analysis/analysis.h"

namespace moesim {

// A self-contained page with the chart, its question and what its figures rest on.
std::string chart_page(const StudyResult& study,
                       const ChartPart& part,
                       const nlohmann::json& option);

// Whether Node.js is there to draw SVG.
bool can_draw_svg();

// MachineError where Node.js is missing or fails, with what it said. Makes a temporary folder and
// removes it.
std::string chart_svg(const nlohmann::json& option);

// The same as PNG, two dots a unit of the SVG; MachineError also where librsvg's converter is
// missing or fails.
std::string chart_png(const nlohmann::json& option);

}  // namespace moesim
