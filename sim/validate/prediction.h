// Contract of a record kind: one .cpp in sim/validate/kinds/ that turns a record's conditions into
// a simulation and registers a RecordKind under the name of the `kind` key.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "sim/core/catalog.h"
#include "sim/core/metric.h"
#include "sim/core/units.h"
#include "sim/plan/all_to_all.h"
#include "sim/validate/record.h"

namespace moesim {

struct Prediction {
  std::string what;        // what it is counted under: "deepep_normal dispatch"
  std::string conditions;  // for people: "16 H800 on 2 nodes, 4096 tokens a rank, hidden 7168"
  std::string unit;        // of the record's value: "us", "GB/s"
  double value = 0;        // predicted, in that unit
  bool timed = true;       // false: a figure that is no time; only its value is compared
  // The same as times, and what two models without a simulator say: bytes of the busiest port at
  // line rate, to which whoever fits them adds a constant; and the constants of the algorithm on
  // bytes spread evenly over all ranks without de-duplication.
  Seconds predicted{}, measured{}, at_line_rate{}, uniform{};
  Basis basis = Basis::datasheet;
  std::string note;  // "stands in for ..."; may be empty
};

struct Unmapped {
  std::string reason;
};

// A record that constants of an exchange can be fitted on.
struct FitSample {
  TimingQuery query;      // whose constants
  ExchangeTiming timing;  // as they are
  Seconds measured{};
  std::function<Seconds(const ExchangeTiming&)> predict;  // with other constants
};

struct RecordKind {
  // calibration: a file whose constants come first, empty = the project's alone. InputError at a
  // condition of a wrong type.
  std::function<std::variant<Prediction, Unmapped>(const MeasurementRecord&,
                                                   const std::string& calibration)>
      predict;
  // Nothing where the record rests on no such constants, or on several at once. May be empty.
  std::function<std::optional<FitSample>(const MeasurementRecord&, const std::string& calibration)>
      sample;
};

}  // namespace moesim
