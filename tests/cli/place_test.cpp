// moesim place as a user runs it, and scenarios that name a placement file.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/io/json_reader.h"
#include "sim/plan/placement.h"
#include "sim/result/result.h"
#include "tests/cli/program.h"

namespace moesim {
namespace {

using nlohmann::json;
using test::kFirstRun;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

bool shows(const Outcome& outcome, const std::string& text) {
  return outcome.output.find(text) != std::string::npos;
}

const std::string kCases = test::source_dir() + "/tests/data/eplb_cases.json";

// Loads of 8 layers x 32 experts, as the reference model has.
std::string write_loads(const std::string& path) {
  json loads = json::array();
  for (int layer = 0; layer < 8; ++layer) {
    json row = json::array();
    for (int expert = 0; expert < 32; ++expert) row.push_back(1 + (expert * 7 + layer * 5) % 23);
    loads.push_back(row);
  }
  write_file(path, json{{"loads", loads}}.dump());
  return path;
}

json cases() { return read_json_file(kCases).json(); }

Outcome check_cases(const json& file) {
  const TemporaryFolder folder;
  write_file(folder / "cases.json", file.dump());
  return run_program("place --check " + (folder / "cases.json"));
}

}  // namespace

TEST_CASE("moesim place gives EPLB's own placement and a line for each layer") {
  const TemporaryFolder folder;
  const json one = cases().at("cases").at(0);
  write_file(folder / "loads.json", json{{"weight", one.at("weight")}}.dump());
  const auto number = [&](const char* key) { return one.at(key).dump(); };
  const Outcome outcome = run_program(
      "place --strategy eplb --loads " + (folder / "loads.json") + " --replicas " +
      number("num_replicas") + " --groups " + number("num_groups") + " --nodes " +
      number("num_nodes") + " --gpus " + number("num_gpus") + " --out " + (folder / "map.json"));
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  const json map = read_json_file(folder / "map.json").json();
  CHECK(map.at("physical_to_logical_map") == one.at("phy2log_stable"));
  const auto load = one.at("weight").get<std::vector<std::vector<double>>>();
  for (std::size_t layer = 0; layer < load.size(); ++layer) {
    Placement placement;
    const auto ranks = one.at("num_gpus").get<std::size_t>();
    const json& slots = one.at("phy2log_stable")[layer];
    for (std::size_t slot = 0; slot < slots.size(); ++slot) {
      placement.replica_of.push_back(static_cast<LogicalExpert>(slots[slot].get<int>()));
      placement.rank_of.push_back(id_of<Rank>(slot * ranks / slots.size()));
    }
    const double expected = balancedness(rank_load(placement, load[layer], ranks));
    CHECK(map.at("balancedness").at("placed")[layer].get<double>() == doctest::Approx(expected));
    CHECK(shows(outcome, "layer   " + std::to_string(layer) + ": balancedness"));
  }
}

TEST_CASE("moesim place --check passes the original's cases and points at the first difference") {
  const Outcome pass = run_program("place --check " + kCases);
  CHECK(pass.code == 0);
  CHECK(shows(pass, "20 of 20 cases pass"));
  json wrong = cases();
  json& slot = wrong["cases"][3]["phy2log_stable"][0][0];
  slot = (slot.get<int>() + 1) % 64;
  const Outcome fail = check_cases(wrong);
  INFO(fail.output);
  CHECK(fail.code == 1);
  CHECK(shows(fail, "19 of 20 cases pass"));
  CHECK(shows(fail, "FAIL  case 3"));
  CHECK(shows(fail, "cases.3.phy2log_stable.0.0 is "));
}

TEST_CASE("cases that lack keys or have other shapes are refused with file and key") {
  const auto refused = [](const json& file, const std::string& text) {
    const Outcome outcome = check_cases(file);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(shows(outcome, "cases.json:1:"));
    CHECK(shows(outcome, text));
  };
  json file = cases();
  file["cases"][2].erase("num_gpus");
  refused(file, "num_gpus");
  file = cases();
  file["cases"][2]["phy2log_stable"][0].erase(0);
  refused(file, "cases.2.phy2log_stable.0: has ");
  file = cases();
  file["cases"][2]["num_gpus"] = 7;
  refused(file, "num_gpus: 7 does not divide");
  file = cases();
  file["cases"][2]["weight"][0].push_back(1);
  refused(file, "cases.2.weight.");
  refused(json{{"cases", json::array()}}, "needs at least one case");
  refused(json{{"case", 1}}, "cases");
}

TEST_CASE("mistakes name the option and what is allowed") {
  const TemporaryFolder folder;
  const std::string place = "place --loads " + write_loads(folder / "loads.json");
  const auto refused = [&](const std::string& options, const std::string& text) {
    const Outcome outcome = run_program(options);
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(shows(outcome, text));
  };
  refused(place + " --strategy elpb", "did you mean \"eplb\"");
  refused(place + " --replicas 30", "--replicas: 30 slots cannot hold 32 experts");
  refused(place + " --replicas 40 --gpus 6", "--gpus: 6 does not divide the 40 slots");
  refused(place + " --replicas 40 --gpus 8 --nodes 3", "--nodes: 3 does not divide the 8 GPUs");
  refused(place + " --replicas 96 --gpus 2", "--replicas: 96 is too many");
  refused(place + " --format torch", "unknown placement format \"torch\"");
  refused(place + " --strategy co_activation", "needs to see which experts each token chose");
  refused("place --gpus 2", "place needs --loads or --trace");
  refused(place + " --out " + (folder / "loads.json"), "loads.json");
}

TEST_CASE("a trace is placed by its tokens, in a format that moesim reads again") {
  const TemporaryFolder folder;
  REQUIRE(run_program("trace synth --like olmoe --tokens 2000 --layers 3 --out " +
                      (folder / "t.safetensors"))
              .code == 0);
  const std::string place =
      "place --trace " + (folder / "t.safetensors") + " --replicas 72 --gpus 8 --nodes 2";
  for (const char* strategy : {"co_activation", "affinity", "greedy"}) {
    const Outcome outcome = run_program(place + " --strategy " + strategy +
                                        " --format vllm --out " + (folder / "map.json"));
    INFO(outcome.output);
    CHECK(outcome.code == 0);
    const Outcome again = run_program(place + " --strategy " + strategy + " --previous " +
                                      (folder / "map.json") + " --out " + (folder / "again.json"));
    CHECK(shows(again, " 0 of 72 replicas move"));
  }
}

TEST_CASE("a scenario runs a placement file as the strategy that wrote it") {
  const TemporaryFolder folder;
  const std::string map = folder / "map.json";
  REQUIRE(run_program("place --strategy contiguous --loads " + write_loads(folder / "loads.json") +
                      " --replicas 48 --gpus 16 --out " + map)
              .code == 0);
  const Outcome outcome =
      run_program("run " + kFirstRun + " --out " + (folder / "out") +
                  " --set 'vary={\"plan.placement\":[\"contiguous\",{\"file\":\"" + map +
                  "\"},{\"strategy\":\"eplb_preserving\",\"previous\":\"" + map + "\"}]}'");
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const StudyResult study =
      study_result_from_json(json::parse(read_text_file(folder / "out/result.json")));
  REQUIRE(study.points.size() == 3);
  const auto step_time = [&](std::size_t point) {
    return find_metric(study.points[point], "step_time")->value;
  };
  CHECK(step_time(0) == step_time(1));
  CHECK(step_time(0) != step_time(2));
}

TEST_CASE("a scenario's placement file that does not fit is refused with its key") {
  const TemporaryFolder folder;
  const std::string map = folder / "map.json";
  REQUIRE(run_program("place --strategy contiguous --loads " + write_loads(folder / "loads.json") +
                      " --replicas 64 --gpus 16 --out " + map)
              .code == 0);
  const auto refused = [&](const std::string& placement, const std::string& text) {
    const Outcome outcome = run_program(
        "check " + kFirstRun + " --set vary=null --set 'plan.placement=" + placement + "'");
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(shows(outcome, text));
  };
  refused("{\"file\":\"" + map + "\"}", "has 64 slots; 32 experts + 16 redundant make 48");
  refused("{\"file\":\"nowhere.json\"}", "there is no file or folder nowhere.json");
  refused("{\"fil\":\"" + map + "\"}", "did you mean \"file\"");
  refused("{\"strategy\":\"eplb\",\"file\":\"" + map + "\"}", "needs \"file\" or \"strategy\"");
  refused("{\"strategy\":\"elpb\"}", "did you mean \"eplb\"");
}

}  // namespace moesim
