// Statistics of a routing trace as tables for a terminal and as JSON for programs.
#pragma once

#include <string>

#include "sim/trace/trace_stats.h"

namespace moesim {

// What the trace is, then a table of skew and dependence by layer, then the skew by layer and
// domain, and what the columns mean.
std::string stats_text(const TraceStats& stats);

// The same figures as one JSON object, and the copies of every expert; shares are of 1, and null
// where nothing was counted.
std::string stats_json(const TraceStats& stats);

}  // namespace moesim
