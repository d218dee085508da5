// Statistics of a routing trace as charts.
#pragma once

#include <vector>

#include "analysis/report/page.h"
#include "sim/trace/trace_stats.h"

namespace moesim {

// Load by layer and expert (all domains, then each), max/mean by layer and domain, and how far
// choices depend on each other: sections for html_page.
std::vector<PageSection> trace_charts(const TraceStats& stats);

}  // namespace moesim
