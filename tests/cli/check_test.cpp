// moesim check: all mistakes of a file, each once, and no consequence of another.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/program.h"

using namespace moesim;
using nlohmann::json;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

namespace {

// Mistakes as "line key", in the order in which they are listed.
std::vector<std::string> places_of(const std::string& text, const std::string& more = "") {
  const TemporaryFolder folder;
  write_file(folder / "s.json", text);
  const Outcome outcome = run_program("check --json " + (folder / "s.json") + more);
  CAPTURE(outcome.output);
  const json list = json::parse(outcome.output);
  CHECK(outcome.code == (list.empty() ? 0 : 2));
  std::vector<std::string> places;
  for (const json& mistake : list)
    places.push_back(std::to_string(mistake.at("line").get<int>()) + " " +
                     mistake.at("key").get<std::string>());
  return places;
}

// The lines of a good file, to be changed: [0] is line 1.
std::vector<std::string> good() {
  return {R"({"model": "deepseek-v3",)",
          R"( "cluster": {"preset": "h800-ib",)",
          R"(   "nodes": 4,)",
          R"(   "nic": "400 Gb/s"},)",
          R"( "workload": {"trace": {"synthetic": {"like": "deepseek-v3"}},)",
          R"(   "requests_per_rank": 16,)",
          R"(   "context": 1024},)",
          R"( "plan": {"expert_parallel": 32,)",
          R"(   "redundant_experts": 32,)",
          R"(   "placement": "eplb",)",
          R"(   "all_to_all": "deepep_low_latency"},)",
          R"( "seed": 1})"};
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

using Places = std::vector<std::string>;

}  // namespace

TEST_CASE("A file without mistakes has an empty list, and check says its points") {
  CHECK(places_of(text_of(good())).empty());
}

TEST_CASE("All mistakes of a file are listed at once, in its order, each once") {
  std::vector<std::string> lines = good();
  lines[2] = R"(   "nodes": "4",)";                     // wrong type
  lines[3] = R"(   "nic": "400 GBit", "colour": 1},)";  // wrong unit, unknown key
  lines[5] = R"(   "requests_per_rank": 0,)";           // out of range
  lines[8] = R"(   "redundant_experts": 31,)";          // 287 slots do not divide by 32 ranks
  lines[9] = R"(   "placement": "eplbb",)";             // unknown name
  lines[11] = R"( "sede": 1})";                         // unknown key of the file itself
  CHECK(places_of(text_of(lines)) == Places{"3 cluster.nodes", "4 cluster.nic", "4 cluster.colour",
                                            "6 workload.requests_per_rank",
                                            "8 plan.expert_parallel", "10 plan.placement",
                                            "12 sede"});
}

TEST_CASE("A rule of the plan is found beside mistakes that have nothing to do with it") {
  std::vector<std::string> lines = good();
  lines[6] = R"(   "context": "long"},)";
  lines[8] = R"(   "redundant_experts": 31,)";  // 287 slots do not divide by 32 ranks
  const Places places = places_of(text_of(lines));
  CHECK(places == Places{"7 workload.context", "8 plan.expert_parallel"});
}

TEST_CASE("What is wrong only because a value was mended is not listed") {
  std::vector<std::string> lines = good();
  lines[2] = R"(   "nodes": "4",)";  // 1 node, the default, would have 8 ranks and not 32
  CHECK(places_of(text_of(lines)) == Places{"3 cluster.nodes"});
  lines = good();
  lines[0] = R"({"modle": "deepseek-v3",)";  // and then there is no "model"
  CHECK(places_of(text_of(lines)) == Places{"1 modle"});
  lines = good();
  lines[4] = R"( "workload": {"trace": {"synthetic": {"like": 5}},)";
  CHECK(places_of(text_of(lines)) == Places{"5 workload.trace.synthetic.like"});
}

TEST_CASE("A key that no value makes right hides nothing that comes after it") {
  std::vector<std::string> lines = good();
  lines[2] = R"(   "nodes": 4, "price_per_gpu_hour": "2.5",)";
  lines[6] = R"(   "context": 1024, "slo": {"time_to_first_token": "2 s"}},)";  // not of decode
  lines[7] = R"( "plan": {"pipeline_parallel": 3,)";
  CHECK(places_of(text_of(lines)) == Places{"3 cluster.price_per_gpu_hour",
                                            "7 workload.slo.time_to_first_token",
                                            "8 plan.pipeline_parallel"});
}

TEST_CASE("A missing key is listed, and what comes after it") {
  std::vector<std::string> lines = good();
  lines[0] = "{";
  lines[9] = R"(   "placement": "eplbb",)";
  const Places places = places_of(text_of(lines));
  CHECK(places == Places{"1 ", "10 plan.placement"});
}

TEST_CASE("Values that an axis sets are mended where they stand") {
  std::vector<std::string> lines = good();
  lines[11] = R"( "vary": {"plan.placement": ["eplb", "eplbb", "contiguos"]}})";
  lines[5] = R"(   "requests_per_rank": 0,)";
  CHECK(places_of(text_of(lines)) ==
        Places{"6 workload.requests_per_rank", "12 plan.placement", "12 plan.placement"});
}

TEST_CASE("A mistake of --set is listed behind those of the file") {
  std::vector<std::string> lines = good();
  lines[9] = R"(   "placement": "eplbb",)";
  CHECK(places_of(text_of(lines), " --set workload.steps=0") ==
        Places{"10 plan.placement", "1 workload.steps"});
}

TEST_CASE("The messages are those of run, and what is no JSON has one") {
  const TemporaryFolder folder;
  std::vector<std::string> lines = good();
  lines[9] = R"(   "placement": "eplbb",)";
  write_file(folder / "s.json", text_of(lines));
  const std::string of_run = run_program("run " + (folder / "s.json")).output;
  CHECK(run_program("check " + (folder / "s.json")).output == of_run);
  CHECK(of_run.find("did you mean \"eplb\"?") != std::string::npos);
  CHECK(places_of("{\"model\": }").size() == 1);
}

TEST_CASE("A mistake in a file that the scenario names has that file's place") {
  const TemporaryFolder folder;
  write_file(folder / "c.json", "{\"accelerator\": \"h800-sxm\",\n \"topology\": \"rails\"}");
  std::vector<std::string> lines = good();
  lines[1] = R"( "cluster": {"preset": ")" + (folder / "c.json") + R"(",)";
  lines[9] = R"(   "placement": "eplbb",)";
  write_file(folder / "s.json", text_of(lines));
  const Outcome outcome = run_program("check --json " + (folder / "s.json"));
  CAPTURE(outcome.output);
  const json list = json::parse(outcome.output);
  REQUIRE(list.size() == 2);
  CHECK(list[0].at("file") == (folder / "c.json"));
  CHECK(list[1].at("key") == "plan.placement");
}

TEST_CASE("A training scenario is checked as train reads it") {
  CHECK(places_of(R"({"model": "deepseek-v3",
 "cluster": {"preset": "gb200-nvl72", "nodes": 4, "gpus_per_node": 64},
 "workload": {"phase": "training", "global_batch": "4096"},
 "plan": {"pipeline": 4, "schedule": "dualpype", "tensor_paralel": 2}})") ==
        Places{"3 workload.global_batch", "4 plan.schedule", "4 plan.tensor_paralel"});
}
