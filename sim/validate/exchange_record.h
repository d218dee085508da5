// A record of kind "exchange" as an exchange of this project.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/validate/exchange_case.h"
#include "sim/validate/prediction.h"

namespace moesim {

// One direction of a recorded exchange.
// The project's algorithm for a record's, by mode where it has two. A library that is none of the
// project's own stands in by the form of its exchange. nullopt: none stands for it.
struct MappedAlgorithm {
  std::string algorithm;
  bool stands_in = false;
};
std::optional<MappedAlgorithm> map_algorithm(const std::string& name, const std::string& mode);

struct RecordedDirection {
  ExchangeProbe probe;
  double bytes = 0;  // of one rank, as the record's bandwidth counts them
  Seconds extra{};   // that the record's way of timing adds; negative: parts it leaves out
  Basis basis = Basis::datasheet;
};

struct RecordedExchange {
  ExchangeCase described;
  std::string operation;                      // "dispatch", "combine", "round_trip", "prepare"
  std::vector<RecordedDirection> directions;  // none for "prepare"
  std::string stands_in_for;                  // another library's name; empty = its own algorithm
  bool is_time = true;                        // else a bandwidth, GB/s
  double value = 0;                           // us or GB/s
  double bytes() const;                       // over its directions
  Seconds measured() const;
};

// calibration as in TimingQuery. InputError at a condition of a wrong type.
std::variant<RecordedExchange, Unmapped> read_exchange_record(const JsonNode& typed,
                                                              const std::string& calibration);

// What the algorithm does before it dispatches, where its records time that apart.
Seconds prepare_time(const ExchangeCase& described, Basis& basis);

}  // namespace moesim
