// moesim show topology and moesim topology import, as a user runs them.
#include <doctest/doctest.h>

#include "tests/cli/program.h"

namespace moesim {
namespace {

using test::Outcome;
using test::run_program;

bool shows(const Outcome& outcome, const std::string& text) {
  return outcome.output.find(text) != std::string::npos;
}

TEST_CASE("a preset is shown with its sizes and drawn") {
  const test::TemporaryFolder folder;
  const Outcome outcome =
      run_program("show topology h100-ib --nodes 40 --out " + (folder / "h100.svg"));
  CHECK(outcome.code == 0);
  CHECK(shows(outcome, "320 = 40 nodes x 8"));
  CHECK(shows(outcome, "8.00 TB/s each way"));  // 160 GPUs a half, 50 GB/s each
  CHECK(read_text_file(folder / "h100.svg").starts_with("<svg"));
}

TEST_CASE("--set changes a preset's keys, and a scenario's cluster is found in it") {
  const Outcome set =
      run_program("show topology h100-ib --nodes 16 --set topology=fat_tree --set 'nic=200 Gb/s'");
  CHECK(set.code == 0);
  CHECK(shows(set, "spine-core"));
  CHECK(shows(set, "25.0 GB/s"));
  const Outcome scenario = run_program("show topology " + test::kFirstRun);
  CHECK(scenario.code == 0);
  CHECK(shows(scenario, "rail_optimized"));
}

TEST_CASE("what a fabric cannot be is refused with the option and the nearest name") {
  const Outcome plane = run_program("show topology h100-ib --set topology=torus_3d --set planes=2");
  CHECK(plane.code == 2);
  CHECK(shows(plane, "cluster.planes: means nothing to topology \"torus_3d\""));
  const Outcome preset = run_program("show topology h100-bi");
  CHECK(preset.code == 2);
  CHECK(shows(preset, "did you mean \"h100-ib\""));
  const Outcome scenario =
      run_program("check " + test::kFirstRun + " --set 'cluster.link_health={\"nik\": 0.5}'");
  CHECK(scenario.code == 2);
  CHECK(shows(scenario, "did you mean \"nic\""));
}

TEST_CASE("an imported graph is shown as the fabric it is") {
  const test::TemporaryFolder folder;
  write_file(folder / "node.txt", "\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU1\tNV4\t X \n");
  const Outcome import =
      run_program("topology import " + (folder / "node.txt") + " --out " + (folder / "node.json"));
  CHECK(import.code == 0);
  CHECK(shows(import, "1 nodes of 2 GPUs"));
  CHECK(shows(import, "note: the matrix states no latency"));
  const Outcome show = run_program("show topology " + (folder / "node.json"));
  CHECK(show.code == 0);
  CHECK(shows(show, "100 GB/s"));  // four NVLinks of 25 GB/s
  const Outcome unknown =
      run_program("topology import " + test::kFirstRun + " --out " + (folder / "x.json"));
  CHECK(unknown.code == 2);
  CHECK(shows(unknown, "simgrid_xml: a SimGrid platform"));
}

}  // namespace
}  // namespace moesim
