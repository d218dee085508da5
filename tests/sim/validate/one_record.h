// A file of one measurement record, validated.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "sim/io/files.h"
#include "sim/validate/summary.h"
#include "tests/temporary_folder.h"

namespace moesim::test {

inline Validation validate_one(const std::string& typed) {
  const TemporaryFolder folder;
  write_file(folder / "records.json",
             R"({"measurements": [{"id": "one", "testbed": "bed", "split": "calibrate",
                "source": "by hand", "typed": )" +
                 typed + "}]}");
  return validate_records(folder / "records.json", "");
}

inline Prediction predict_one(const std::string& typed) {
  const Validation validation = validate_one(typed);
  CAPTURE((validation.unmapped.empty() ? std::string() : validation.unmapped[0].reason));
  REQUIRE(validation.records.size() == 1);
  return validation.records[0].prediction;
}

}  // namespace moesim::test
