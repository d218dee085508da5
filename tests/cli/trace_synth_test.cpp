// moesim trace synth and trace fit as a user runs them, and the scenario key
// workload.trace.synthetic: what they print, what they make, and how they refuse.
#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "sim/io/json_reader.h"
#include "sim/model/moe_model.h"
#include "sim/scenario/load_synthetic.h"
#include "sim/study/study.h"
#include "sim/trace/routing_trace.h"
#include "tests/cli/program.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

void check_synth_says(const Outcome& outcome, int code, const std::string& part) {
  INFO(outcome.output);
  CHECK(outcome.code == code);
  CHECK(outcome.output.find(part) != std::string::npos);
}

const std::string kSyntheticScenario = test::source_dir() + "/scenarios/synthetic_deepseek_v3.json";

}  // namespace

TEST_CASE("trace synth draws the shape, domains and seed that it is told") {
  const TemporaryFolder folder;
  const std::string out = folder / "t.safetensors";
  check_synth_says(
      run_program("trace synth --like olmoe --experts 16 --top-k 2 --layers 3 --tokens 600 "
                  "--domains code=1,chat=1 --drift 1:chat=1 --seed 9 --out " +
                  out),
      0, "600 tokens, 3 MoE layers, 16 experts, top-2, like ");
  const RoutingTrace trace = open_trace(out, true);
  CHECK(trace.tokens() == 600);
  CHECK(trace.header.experts == 16);
  CHECK(trace.header.top_k == 2);
  CHECK(trace.header.layer_ids == std::vector<int>{0, 1, 2});
  CHECK(trace.header.domains == std::vector<std::string>{"code", "chat"});
  CHECK(trace.header.seed == 9);
  CHECK(trace.header.origin == "synthetic");
}

TEST_CASE("trace synth writes the same file for the same seed on any number of threads") {
  const TemporaryFolder folder;
  const std::string options = "trace synth --like mixtral --layers 2 --tokens 900 --seed 3 --out ";
  const std::string one = folder / "one.safetensors", four = folder / "four.safetensors";
  check_synth_says(run_program(options + one + " --threads 1"), 0, "900 tokens");
  check_synth_says(run_program(options + four + " --threads 4"), 0, "900 tokens");
  CHECK(read_text_file(one) == read_text_file(four));
}

TEST_CASE("trace synth refuses what it cannot draw and writes nothing") {
  const TemporaryFolder folder;
  const std::string end = " --out " + (folder / "t.safetensors");
  const auto refuses = [&](const std::string& options, const std::string& part) {
    check_synth_says(run_program("trace synth " + options + end), 2, part);
  };
  refuses("--tokens 10", "--like");
  refuses("--tokens 10 --like olmoe --profile p.json", "--profile");
  refuses("--tokens 10 --like olmo", "did you mean \"olmoe\"");
  refuses("--tokens 10 --profile " + (folder / "none.json"), "none.json");
  refuses("--tokens 0 --like olmoe", "tokens is 0");
  refuses("--tokens 10 --like olmoe --experts 513", "513");
  refuses("--tokens 10 --like olmoe --top-k 65", "top_k is 65");
  refuses("--tokens 10 --like olmoe --groups 7", "groups is 7");
  refuses("--tokens 10 --like olmoe --groups 8 --kept-groups 9", "kept groups is 9");
  refuses("--tokens 10 --like olmoe --domains code", "write \"code=0.5,chat=0.5\"");
  refuses("--tokens 10 --like olmoe --domains code=0", "no domain has a share");
  refuses("--tokens 10 --like olmoe --drift 1:code=1", "--drift needs --domains");
  refuses("--tokens 10 --like olmoe --domains a=1 --drift 2:a=1", "\"2:a=1\"");
  refuses("--tokens 10 --like olmoe --prompt 0 --answer 0", "at least one together");
  CHECK(folder.entries() == 0);
}

TEST_CASE("a trace is fitted, and its profile drawn from") {
  const TemporaryFolder folder;
  const std::string trace = folder / "t.safetensors", profile = folder / "p.json",
                    drawn = folder / "u.safetensors";
  check_synth_says(run_program("trace synth --like olmoe --layers 2 --tokens 4000 --out " + trace),
                   0, "4000 tokens");
  check_synth_says(run_program("trace fit " + trace + " --rounds 2 --out " + profile), 0,
                   "next token");
  check_synth_says(run_program("trace synth --profile " + profile + " --tokens 500 --out " + drawn),
                   0, "500 tokens, 2 MoE layers, 64 experts, top-8");
}

TEST_CASE("trace fit refuses what it cannot measure and writes nothing") {
  const TemporaryFolder folder;
  const std::string trace = folder / "t.safetensors", end = " --out " + (folder / "p.json");
  check_synth_says(run_program("trace synth --like uniform --layers 1 --tokens 50 --out " + trace),
                   0, "50 tokens");
  check_synth_says(run_program("trace fit " + trace + " --groups 7" + end), 2, "groups is 7");
  check_synth_says(run_program("trace fit " + trace + " --groups 8 --kept-groups 9" + end), 2,
                   "kept groups is 9");
  check_synth_says(run_program("trace fit " + trace + " --rounds 0" + end), 2, "--rounds");
  check_synth_says(run_program("trace fit " + (folder / "none.safetensors") + end), 2,
                   "none.safetensors");
  check_synth_says(run_program("trace synth --tokens 9 --profile " + trace + " --out " +
                               (folder / "u.safetensors")),
                   2, "t.safetensors");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a scenario's synthetic trace is refused by key and value") {
  const auto refuses = [](const std::string& edit, const std::string& part) {
    check_synth_says(
        run_program("check " + kSyntheticScenario + " --set workload.trace.synthetic." + edit), 2,
        part);
  };
  refuses("tokenz=5", "did you mean \"tokens\"");
  refuses("tokens=0", "workload.trace.synthetic.tokens");
  refuses("prompt_tokens=-1", "workload.trace.synthetic.prompt_tokens");
  refuses("seed=-1", "workload.trace.synthetic.seed");
  refuses("profile=mine.json", "needs either \"like\" or \"profile\"");
  refuses("like=a/b.json", "write \"profile\" for a path");
  refuses("domains.code=-1", "workload.trace.synthetic.domains.code");
}

TEST_CASE("a synthetic trace takes its shape from the scenario's model") {
  const JsonNode node = read_json_text("{\"like\": \"olmoe\"}", "s.json");
  const SyntheticSource source = read_synthetic(node, load_model("deepseek-v3"), "");
  CHECK(source.experts == 256);
  CHECK(source.top_k == 8);
  CHECK(source.groups == 8);
  CHECK(source.kept_groups == 4);
  CHECK(source.layer_ids.size() == 58);
  CHECK(source.layer_ids.front() == 3);  // three dense layers come first
  CHECK(source.tokens == 65536);
  CHECK(source.mixes.empty());
}

TEST_CASE("a scenario's synthetic trace is drawn once a key") {
  const TemporaryFolder folder;
  SyntheticSource base;
  base.profile = "deepseek-v3";
  base.tokens = 64;
  base.model = "small";
  base.experts = 32;
  base.top_k = 4;
  base.groups = 4;
  base.kept_groups = 2;
  base.layer_ids = {3, 5};
  std::vector<SyntheticSource> sources(6, base);
  sources[1].seed = 2;
  sources[2].tokens = 65;
  sources[3].mixes = {{0, {{"code", 1}, {"chat", 1}}}};
  sources[4].mixes = {{0, {{"code", 1}, {"chat", 3}}}};
  sources[5].prompt_tokens = 9;
  std::set<std::string> paths;
  for (const SyntheticSource& synthetic : sources) {
    TraceSource source;
    source.synthetic = synthetic;
    int made = 0;
    RunOptions options;
    options.say = [&](const std::string&) { ++made; };
    const std::string path = prepare_trace(source, folder.path(), options);
    CHECK(prepare_trace(source, folder.path(), options) == path);
    CHECK(made == 1);
    paths.insert(path);
    const RoutingTrace trace = open_trace(path, true);
    CHECK(trace.tokens() == static_cast<std::size_t>(synthetic.tokens));
    CHECK(trace.header.experts == 32);
    CHECK(trace.header.top_k == 4);
    CHECK(trace.header.model == "small");
    CHECK(trace.header.layer_ids == std::vector<int>{3, 5});
  }
  CHECK(paths.size() == sources.size());
}
