// What analysis makes of a study's results: a terminal summary, a CSV table and a self-contained
// HTML report. It reads results and never runs a simulation.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/result/result.h"

namespace moesim {

// One line per plan: step time, dispatch, combine, compute, straggler and its cause, balancedness,
// memory headroom; then the weakest basis, the notes, the comparison of the points (who wins, by
// how much). Fixed width, `colour` only for a terminal.
std::string terminal_summary(const StudyResult& study, bool colour);

std::string study_csv(
    const StudyResult& study);  // one row a point, RFC 4180; header names carry units

// One JSON object: the points with their metrics (value, unit, band, basis), comparisons, repeats.
// Without what a report draws, and without faults and rebalancing: result.json has all of it.
std::string study_json(const StudyResult& study);

// Where points differ in their seed alone: a row for every metric of every group of them, with its
// mean and the mean's 95 % interval. "" where nothing repeats.
std::string repeats_csv(const StudyResult& study);

// Contract of a chart: one .cpp in analysis/charts/ that registers a ChartPart: an ECharts option
// object (JSON) made from the results. Null = nothing to draw for this study.
struct ChartPart {
  std::string title;
  std::string question;  // the question the chart answers, its caption
  int order = 0;         // position in the report
  std::function<nlohmann::json(const StudyResult&)> option;
};

// The whole page with ECharts inlined; works offline. First line: the weakest basis and its typical
// error. `command` made the results.
std::string html_report(const StudyResult& study, const std::string& command);

}  // namespace moesim
