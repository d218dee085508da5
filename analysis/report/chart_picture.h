// One chart as a page of its own, or as SVG for papers, drawn by Node from the same option.
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

}  // namespace moesim
