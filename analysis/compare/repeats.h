// Points that differ in their seed alone, taken together: means and how sure they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

// Of one metric over repeats. The interval holds the mean of all seeds in 95 % of such samples:
// mean +- t s / sqrt(n) with Student's t of n - 1 degrees of freedom and the sample's standard
// deviation s (Student, "The probable error of a mean", Biometrika 6, 1908). It says how far seeds
// differ, not how far the simulator is off: that is the band.
struct Spread {
  std::string name, unit;
  std::size_t count = 0;  // repeats that have the metric, at least 2
  double mean = 0;        // in `unit`
  double half = 0;        // of the interval's width
  double low() const { return mean - half; }
  double high() const { return mean + half; }
};

struct Repeats {
  std::string label;                // of its points, less the seed
  std::vector<std::size_t> points;  // of the study, in order
  std::vector<Spread> spreads;      // in the order of the first point's metrics
};

// In order of first appearance; empty where no two points differ in "seed" alone.
std::vector<Repeats> find_repeats(const StudyResult& study);

// The study with one point for all repeats of it: metrics, their bands, breakdown and headroom as
// means, the rest as in the first that ran. As it is where nothing repeats.
StudyResult mean_of_repeats(const StudyResult& study);

// "2.21 ms +- 0.03 ms (5 seeds)"
std::string spread_text(const Spread& spread);

// One line for each, for summary and report: what the intervals of its main metrics are.
std::vector<std::string> repeat_lines(const StudyResult& study);

// The two-sided 95 % quantile of Student's t: P(|T| <= t) = 0.95. At least one degree of freedom.
double student_t(std::size_t degrees_of_freedom);

}  // namespace moesim
