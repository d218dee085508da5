// Every command that prints a table prints it as JSON too, and nothing else beside it.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/cluster/fabric.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::TemporaryFolder;
using nlohmann::json;

namespace {

json printed(const std::string& arguments) {
  CAPTURE(arguments);
  const test::Outcome outcome = test::run_for_output(arguments + " --json");
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.output);
}

}  // namespace

TEST_CASE("list prints every part with its line, topologies with the keys of their own") {
  const json listed = printed("list");
  CHECK(listed.at("topologies").size() == Catalog<TopologyPart>::instance().names().size());
  for (const json& topology : listed.at("topologies")) {
    const std::string name = topology.at("name");
    const TopologyPart& part = Catalog<TopologyPart>::instance().at(name, "topology");
    CHECK(topology.at("options") == json(part.options));
    CHECK(test::run_program("list topologies").output.find(name) != std::string::npos);
  }
  CHECK(test::run_program("list topologies").output.find("options: graph") != std::string::npos);
  CHECK(printed("list models").size() == 1);
}

TEST_CASE("run prints its points with their metrics, as study.csv has them") {
  const TemporaryFolder folder;
  const json study =
      printed("run " + test::kFirstRun + " --set workload.steps=1 --set 'name=two words' --out " +
              folder.path());
  CHECK(read_text_file(folder / "report.html")
            .find("./moesim run " + test::kFirstRun +
                  " --set workload.steps=1 --set &#39;name=two words&#39;") != std::string::npos);
  REQUIRE(study.at("points").size() == 2);
  const std::string csv = read_text_file(folder / "study.csv");
  for (const json& point : study.at("points")) {
    CHECK(csv.find(point.at("key").get<std::string>()) != std::string::npos);
    const json& step = point.at("metrics").at("step_time");
    CHECK(step.at("unit") == "s");
    CHECK(step.at("low").get<double>() < step.at("value").get<double>());
    double parts = 0;
    for (const auto& [kind, seconds] : point.at("breakdown_seconds").items())
      parts += seconds.get<double>();
    CHECK(parts == doctest::Approx(step.at("value").get<double>()));
    CHECK(point.at("checks").at("passed") == point.at("checks").at("all"));
  }
  const double a = study.at("points")[0].at("metrics").at("step_time").at("value");
  const double b = study.at("points")[1].at("metrics").at("step_time").at("value");
  CHECK(study.at("comparisons").at(0).at("ratio").get<double>() ==
        doctest::Approx(std::max(a, b) / std::min(a, b)));
}

TEST_CASE("compare prints the ranking and its duels") {
  const TemporaryFolder folder;
  write_file(folder / "mine.csv", "metric,value\nstep_time,2 ms\n");
  const json bake_off =
      printed("compare " + test::kFirstRun + " --strategies contiguous,greedy --windows 3 --out " +
              (folder / "out") + " --measured " + (folder / "mine.csv"));
  REQUIRE(bake_off.at("plans").size() == 2);
  const json &best = bake_off.at("plans")[0], &second = bake_off.at("plans")[1];
  CHECK(best.at("median_step_seconds") <= second.at("median_step_seconds"));
  CHECK(best.at("worst_step_seconds") >= best.at("median_step_seconds"));
  CHECK(bake_off.at("duels").at(0).at("windows") == 3);
  CHECK(bake_off.at("measured").size() == 2);
}

TEST_CASE("show topology prints a fabric's figures in base units") {
  const json fabric = printed("show topology h100-ib --nodes 2");
  CHECK(fabric.at("ranks") == 16);
  CHECK(fabric.at("port_bytes_per_second").get<double>() == doctest::Approx(50e9));
  CHECK(fabric.at("bisection_bytes_per_second").get<double>() == doctest::Approx(400e9));
  CHECK(fabric.at("tiers").size() >= 2);
}

TEST_CASE("trace stats and trace fit print their figures") {
  const TemporaryFolder folder;
  const std::string trace = folder / "trace.safetensors";
  REQUIRE(test::run_program("trace synth --like uniform --layers 3 --tokens 2048 --out " + trace)
              .code == 0);
  const json stats = printed("trace stats " + trace);
  CHECK(stats.at("tokens") == 2048);
  for (const json& layer : stats.at("layers")) {
    std::uint64_t copies = 0;
    for (const json& load : layer.at("load")) copies += load.get<std::uint64_t>();
    CHECK(copies == layer.at("all").at("copies"));
    CHECK(copies == 2048 * stats.at("top_k").get<std::uint64_t>());
  }
  const json fit = printed("trace fit " + trace + " --rounds 1 --out " + (folder / "profile.json"));
  CHECK(fit.at(0).contains("synthetic"));
}

TEST_CASE("validate and calibrate print records and residuals") {
  const TemporaryFolder folder;
  const std::string records = test::source_dir() + "/topologies/calibration/records/published.json";
  json few = json::parse(read_text_file(records));
  json kept = json::array();
  for (const json& record : few.at("measurements"))
    if (record.at("category") == "gemm" && kept.size() < 3) kept.push_back(record);
  few["measurements"] = kept;
  write_file(folder / "few.json", few.dump());
  const json validation = printed("validate --records " + (folder / "few.json"));
  CHECK(validation.at("records").size() + validation.at("not_simulated").size() == 3);
  for (const json& record : validation.at("records"))
    CHECK(std::abs(record.at("error").get<double>()) < 1);

  const std::string log = test::source_dir() + "/tests/calibrate/logs/low_latency.txt";
  const json constants =
      printed("calibrate " + log + " --accelerator H800 --out " + (folder / "calibration.json"));
  CHECK(constants == json::parse(read_text_file(folder / "calibration.json")));
}

TEST_CASE("place and forward check print their cases") {
  const TemporaryFolder folder;
  const json cases = printed("place --check " + test::source_dir() + "/tests/data/eplb_cases.json");
  CHECK(cases.size() >= 20);
  for (const json& one : cases) CHECK(one.at("passed") == true);
  write_file(folder / "loads.json", "[[8,1,2,3],[1,9,9,1]]");
  const json layers = printed("place --loads " + (folder / "loads.json") +
                              " --replicas 6 --gpus 2 --out " + (folder / "map.json"));
  REQUIRE(layers.at("layers").size() == 2);
  const json& second = layers.at("layers")[1];
  CHECK(second.at("balancedness").get<double>() >
        second.at("contiguous_balancedness").get<double>());

  const json router = printed("forward check --router " + test::source_dir() +
                              "/tests/data/router_cases/router_cases.json");
  CHECK(!router.empty());
  const json golden = printed("forward check " + test::source_dir() + "/tests/data/golden/mixtral");
  CHECK(golden.at(0).at("passed") == true);
}
