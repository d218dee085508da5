// The calibration file that `moesim calibrate` writes and scenarios name.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/fit.h"

namespace moesim {

// The file's text (JSON): entries as in topologies/calibration/all_to_all.json for what was fitted,
// with residuals by measurement. `notes`: what the logs' readers assumed, and ranks that disagreed.
// The same inputs give the same bytes.
std::string calibration_text(const std::vector<Fit>& fits, const std::vector<std::string>& notes);

}  // namespace moesim
