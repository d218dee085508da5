// Fits the constants of exchanges to measurements, starting from those at hand.
#pragma once

#include <string>
#include <vector>

#include "sim/validate/prediction.h"

namespace moesim {

// A measurement to fit on, and where it comes from.
struct MeasuredExchange {
  std::string name;  // for people: "node0.log:12"
  FitSample sample;
  double spread = 0;  // (largest - smallest) / mean over the ranks that reported it; 0 = unknown
};

struct FittedConstant {
  std::string name;              // "fixed", "efficiency", ...
  double before = 0, after = 0;  // s, bytes/s or a ratio, in SI units
};

struct Residual {
  std::string name;
  double before = 0, after = 0;  // predicted / measured - 1
};

// One set of constants: those of one TimingQuery.
struct Fit {
  TimingQuery query;
  ExchangeTiming timing;  // fitted
  std::vector<FittedConstant> constants;
  std::vector<Residual> residuals;
  double rms() const;    // of residuals after
  double worst() const;  // with its sign
};

// A set of constants for every algorithm, direction and reach among the measurements. Minimises
// sum (ln(predicted / measured) / noise)^2 + sum (ln(constant / before) / prior)^2: noise is 5 % or
// the spread over ranks, the larger one; the priors say how far a constant is known to vary from
// cluster to cluster, so that one log moves what it can tell about and leaves the rest, while many
// logs decide everything (docs/calibration.md). Constants that are 0 stay 0; efficiencies stay
// at most 1.
std::vector<Fit> fit_constants(const std::vector<MeasuredExchange>& measurements);

}  // namespace moesim
