// Measurement records: what somebody measured on real hardware, with the conditions in the keys of
// docs/records.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

struct MeasurementRecord {
  std::string id;
  std::string testbed;  // whose cluster
  std::string split;    // "calibrate": constants may be fitted on it; else it only scores them
  std::string source;   // title, place and date
  // The conditions: kind, quantity, value and what else `kind` asks for. nullopt: none, and why.
  std::optional<JsonNode> typed;
  std::string unmapped_reason;
};

// {"measurements": [{"id", "category", "testbed", "split", "source": {"title", "where", "date"},
// "typed": {"kind", ...} | null, "unmapped_reason"}]}; other keys of a record are not read.
// InputError: a missing key, a wrong type, two records of one id.
std::vector<MeasurementRecord> read_records(const std::string& path);

}  // namespace moesim
