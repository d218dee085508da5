// A replayed step in Chrome's trace event format, which ui.perfetto.dev opens: a process a rank
// with a track of kernels and one of exchanges, arrows from the rank that others wait for, counters
// of its links and memory.
#pragma once

#include <string>

#include "sim/memory/memory_ledger.h"
#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/timeline_choice.h"

namespace moesim {

// Format: "Trace Event Format" (Google,
// docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0) as Perfetto reads it: `ts` and
// `dur` in microseconds, events sorted by ts, one id an arrow. Process r + 1 is rank r. A wait is a
// slice of its own before the exchange. Counters: share of the bandwidth of each link at the rank's
// ports while an exchange loads it (bytes over the time until it drained), and bytes of memory by
// the ledger. InputError for a rank that the step has not.
std::string perfetto_timeline(const StepGraph& graph,
                              const Timeline& timeline,
                              const Fabric& fabric,
                              const MemoryLedger& ledger,
                              const TimelineChoice& choice = {});

}  // namespace moesim
