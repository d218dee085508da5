// A point's key follows the files its result depends on.
#include <doctest/doctest.h>

#include "sim/io/files.h"
#include "sim/study/study.h"
#include "tests/sim/plan/step_fixture.h"
#include "tests/temporary_folder.h"

using namespace moesim;

TEST_CASE("the accelerators of all node groups are part of a point's key") {
  const test::TemporaryFolder folder;
  write_trace(folder / "t.safetensors", test::make_random_trace({}, 8));
  const std::string gpu = folder / "gpu.json";
  const std::string text = read_text_file(data_path("topologies/accelerators/h200-sxm.json"));
  StudyPoint point;
  point.canonical_json = "{}";
  point.scenario.model = "gpt-oss-20b";
  point.scenario.cluster = load_cluster_preset("h100-ib");
  const auto key = [&] { return point_key(point, folder / "t.safetensors"); };
  const std::string alike = key();
  point.scenario.cluster.node_groups.resize(2);
  point.scenario.cluster.node_groups[1].accelerator = gpu;
  write_file(gpu, text);
  const std::string mixed = key();
  CHECK(mixed != alike);
  CHECK(mixed == key());
  write_file(gpu, text + "\n");
  CHECK(key() != mixed);
}
