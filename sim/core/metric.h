// A number a user sees: value, unit, band and what it rests on.
#pragma once

#include <string>

namespace moesim {

// What a figure rests on, strongest first. Typical relative error of each: basis_error().
enum class Basis { exact, measured_table, calibrated, transferred, datasheet };

// The weaker of two bases: a sum is only as good as its weakest part.
constexpr Basis weaker(Basis a, Basis b) { return a < b ? b : a; }

std::string to_text(Basis basis);            // "exact", "measured table", "calibrated", ...
Basis parse_basis(const std::string& text);  // the inverse; InputError on another text
double basis_error(
    Basis basis);  // typical relative error, a ratio (docs/models.md says where from)

struct Metric {
  double value = 0;
  std::string unit;  // "s", "B", "B/s", "1" for a ratio
  double low = 0;    // the band: where the truth is expected to lie
  double high = 0;
  Basis basis = Basis::datasheet;
};

// A metric whose band is the basis's typical error around `value`.
Metric metric_of(double value, std::string unit, Basis basis);

}  // namespace moesim
