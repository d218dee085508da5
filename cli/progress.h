// How a run says how far it is: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <functional>

#include "sim/study/study.h"

namespace moesim {

// Whether text to this file descriptor may be coloured: a terminal, and no NO_COLOR
// (https://no-color.org).
bool wants_colour(int descriptor);

// `wanted` points at a time; 0: one a core.
int jobs_or_cores(int wanted);

// Standard error. A bar with points done, rate and time left; or a line each time a point is done,
// at most a hundred of a run.
void show_progress(RunOptions& options);

// "1234 of 10000 points, 57.3/s, 2 min 33 s left"
std::string progress_text(const RunProgress& progress);

}  // namespace moesim
