// moesim trace import as a user runs it, and from a recorded dump to a replay in two commands.
#include <doctest/doctest.h>

#include <fstream>

#include "sim/trace/routing_trace.h"
#include "tests/cli/program.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

const std::string kDumps = test::source_dir() + "/tests/data/imports/";
const std::string kScenario = test::source_dir() + "/scenarios/imported_trace.json";

bool shows(const Outcome& outcome, const std::string& part) {
  return outcome.output.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("An SGLang dump is replayed in two commands") {
  const TemporaryFolder folder;
  const std::string there = "cd " + folder.path() + " && ";
  const Outcome imported = run_program(
      "trace import " + kDumps + "sglang_olmoe.pt --model mine --out t.safetensors", there);
  INFO(imported.output);
  REQUIRE(imported.code == 0);
  CHECK(shows(imported, "t.safetensors: 96 tokens, 16 MoE layers, 64 experts, top-8"));
  const Outcome replayed =
      run_program("run " + kScenario + " --set workload.trace.file=t.safetensors --out out", there);
  INFO(replayed.output);
  REQUIRE(replayed.code == 0);
  CHECK(std::filesystem::exists(folder / "out/result.json"));
  CHECK(shows(replayed, "olmoe-1b-7b, routed by mine"));
}

TEST_CASE("An imported trace file keeps what was said of it") {
  const TemporaryFolder folder;
  const std::string file = folder / "t.safetensors";
  const Outcome outcome = run_program("trace import " + kDumps +
                                      "sglang_stat.pt --top-k 2 --tokens 100 --seed 5 "
                                      "--model mine --domain chat --layers 3,4,9 --out " +
                                      file);
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const RoutingTrace trace = open_trace(file, true);
  CHECK(trace.tokens() == 100);
  CHECK(trace.header.origin == "imported");
  CHECK(trace.header.model == "mine");
  CHECK(trace.header.seed == 5);
  CHECK(trace.header.domains == std::vector<std::string>{"chat"});
  CHECK(trace.header.layer_ids == std::vector<int>{4, 9});  // 3 layers recorded, the first dense
  REQUIRE_FALSE(trace.header.notes.empty());
  for (const std::string& note : trace.header.notes) CHECK(shows(outcome, "note: " + note));
}

TEST_CASE("A model of the program gives experts, top-k and layers") {
  const TemporaryFolder folder;
  const std::string table = folder / "counts.csv";
  {
    std::ofstream out(table);
    out << "layer,expert,count\n";
    for (int layer = 0; layer < 3; ++layer)
      for (int expert = 0; expert < 64; ++expert) out << layer << ',' << expert << ",10\n";
  }
  const std::string file = folder / "t.safetensors";
  const Outcome outcome =
      run_program("trace import " + table + " --model olmoe-1b-7b --out " + file);
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const RoutingTrace trace = open_trace(file, true);
  CHECK(trace.header.top_k == 8);
  CHECK(trace.header.experts == 64);
  CHECK(trace.tokens() == 64 * 10 / 8);
}

TEST_CASE("What cannot be imported leaves no file and exit code 2") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Outcome outcome = run_program("trace import " + arguments + " --out " + (folder / "t"));
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(shows(outcome, part));
    CHECK(folder.entries() == 0);
  };
  refused(kDumps + "os_system.pt", "nothing is ever executed");
  refused(kDumps + "README.md", "looks like no format known");
  refused(kDumps + "missing.pt", "missing.pt");
  refused(kDumps + "sglang_stat.pt", "--top-k");
  refused(kDumps + "vllm.npz --layers 5:5", "the range is empty");
  refused(kDumps + "vllm.npz --layers 1,x,3", "\"x\" is no layer");
  refused(kDumps + "vllm.npz --format vllm_routed_expert", "did you mean");
}

TEST_CASE("moesim list shows the importers") {
  const Outcome outcome = run_program("list importers");
  CHECK(outcome.code == 0);
  CHECK(shows(outcome, "sglang_expert_distribution"));
  CHECK(shows(outcome, "olmoe_mixtral_counts"));
}
