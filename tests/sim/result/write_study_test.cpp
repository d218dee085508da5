// A study written point by point is the same text as one written at once.
#include "sim/result/write_study.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/io/files.h"
#include "tests/analysis/sample_study.h"
#include "tests/temporary_folder.h"

using namespace moesim;

TEST_CASE("A study in pieces reads as the study at once") {
  const test::TemporaryFolder folder;
  for (int count = 0; count < 4; ++count) {
    StudyResult study{"\"points\": [] and\nlines", "s.json", {}};
    for (int i = 0; i < count; ++i) study.points.push_back(sample_point({}, i));
    if (count > 0) study.points[0].notes = {"a \"points\": []\n  note"};
    write_study(folder / "result.json", study, study.points.size(),
                [&](std::size_t i) { return study.points[i]; });
    CHECK(read_text_file(folder / "result.json") == to_json(study).dump(1) + "\n");
  }
}

TEST_CASE("Without details a point keeps its figures, causes and verdicts") {
  const PointResult whole = sample_point({}, 1);
  PointResult point = whole;
  drop_details(point);
  CHECK(point.layers.empty());
  CHECK(point.expert_load.empty());
  CHECK(point.metrics.size() == whole.metrics.size());
  CHECK(point.breakdown == whole.breakdown);
  CHECK(point.straggler_cause == whole.straggler_cause);
  CHECK(point.memory.headroom == whole.memory.headroom);
}
