// Bases, their names and the band each one puts around a value.
#include "sim/core/metric.h"

#include <array>
#include <cmath>
#include <utility>

#include "sim/core/error.h"

namespace moesim {
namespace {

struct BasisFacts {
  const char* name;
  double error;  // sources: docs/models.md, "Bands"
};

constexpr std::array kFacts{BasisFacts{"exact", 0.0}, BasisFacts{"measured table", 0.05},
                            BasisFacts{"calibrated", 0.15}, BasisFacts{"transferred", 0.30},
                            BasisFacts{"datasheet", 0.50}};

}  // namespace

std::string to_text(Basis basis) { return kFacts.at(static_cast<std::size_t>(basis)).name; }

Basis parse_basis(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kFacts.size(); ++i) {
    if (text == kFacts[i].name) return static_cast<Basis>(i);
    names.emplace_back(kFacts[i].name);
  }
  throw InputError("unknown basis \"" + text + "\"" + name_help(text, names));
}

double basis_error(Basis basis) { return kFacts.at(static_cast<std::size_t>(basis)).error; }

Metric metric_of(double value, std::string unit, Basis basis) {
  const double spread = std::abs(value) * basis_error(basis);
  return {value, std::move(unit), value - spread, value + spread, basis};
}

}  // namespace moesim
