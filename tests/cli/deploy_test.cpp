// moesim deploy as a user runs it: pools for a load, and inputs that are none.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;
using nlohmann::json;

namespace {

void write_pool(const TemporaryFolder& folder, const std::string& phase, const std::string& rest) {
  write_file(folder / (phase + ".json"), R"({
  "name": ")" + phase + R"( pool", "model": "reference",
  "cluster": { "preset": "h100-ib", "nodes": 1 },
  "workload": {
    "trace": { "synthetic": { "like": "olmoe", "tokens": 512 } },
    "phase": ")" + phase + "\"" + rest + R"(, "steps": 1 },
  "plan": { "placement": "contiguous", "all_to_all": "nccl_pairwise" } }
)");
}

}  // namespace

TEST_CASE("a prefill and a decode pool become a deployment that carries the load") {
  const TemporaryFolder folder;
  write_pool(folder, "prefill", R"(, "tokens_per_rank": 256)");
  write_pool(folder, "decode", R"(, "requests_per_rank": 16, "context": 1024)");
  const std::string pools = "deploy " + (folder / "prefill.json") + " " + (folder / "decode.json") +
                            " --out " + (folder / "out");
  const Outcome outcome = run_program(pools + " --prompt 1000 --output 100 --json");
  INFO(outcome.output);
  REQUIRE(outcome.code == 0);
  const json found = json::parse(outcome.output.substr(outcome.output.find("{\n")));
  CHECK(found.at("prefill").at("pools") == 1);  // the load is one prefill pool's
  const double load = found.at("requests_per_second");
  CHECK(found.at("prefill").at("requests_per_second").at("value") == doctest::Approx(load));
  const double pools_needed =
      load / found.at("decode").at("requests_per_second").at("value").get<double>();
  CHECK(found.at("decode").at("exact") == doctest::Approx(pools_needed));
  CHECK(found.at("decode").at("pools").get<double>() >= pools_needed * (1 - 1e-9));
  CHECK(found.at("gpus").get<int>() == 8 * (1 + found.at("decode").at("pools").get<int>()));
  // Twice the load needs at least as many pools, and two of the one that gave it.
  const Outcome twice = run_program(pools + " --prompt 1000 --output 100 --json" +
                                    " --requests-per-second " + std::to_string(2 * load));
  const json doubled = json::parse(twice.output.substr(twice.output.find("{\n")));
  CHECK(doubled.at("prefill").at("exact").get<double>() == doctest::Approx(2).epsilon(1e-4));
  CHECK(run_program(pools).output.find("output tokens/s/GPU over all of them") !=
        std::string::npos);
}

TEST_CASE("what is no pool of a deployment is refused") {
  const TemporaryFolder folder;
  write_pool(folder, "prefill", R"(, "tokens_per_rank": 256)");
  write_pool(folder, "decode", R"(, "requests_per_rank": 16, "context": 1024)");
  const auto refused = [&](const std::string& words, const std::string& message) {
    const Outcome outcome = run_program("deploy " + words + " --out " + (folder / "out"));
    INFO(outcome.output);
    CHECK(outcome.code == 2);
    CHECK(outcome.output.find(message) != std::string::npos);
  };
  const std::string prefill = folder / "prefill.json", decode = folder / "decode.json";
  refused(decode + " " + prefill, "its phase is decode, a prefill pool is needed here");
  refused(prefill + " " + decode + " --cached 1", "allowed are 0 to below 1");
  refused(prefill + " " + decode + " --set-decode 'vary={\"seed\":[1,2]}'", "the file spans 2");
}
