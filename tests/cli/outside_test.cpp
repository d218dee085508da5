// What a scenario file may make the program read.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/program.h"

using namespace moesim;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

// mine/s.json beside theirs/profile.json.
struct Folders {
  TemporaryFolder top;
  std::string scenario = top / "mine/s.json";

  Folders() {
    fs::create_directories(top / "mine");
    fs::create_directories(top / "theirs");
    const std::string profile = test::source_dir() + "/workloads/traces/profiles/olmoe.json";
    fs::copy_file(profile, top / "theirs/profile.json");
    fs::copy_file(profile, top / "mine/profile.json");
  }

  void write(const std::string& profile,
             const std::string& cluster = R"("preset": "h100-ib")",
             const std::string& more = "") const {
    write_file(scenario, R"({"name": "n", "model": "olmoe-1b-7b", "cluster": {"nodes": 1, )" +
                             cluster + R"(},
      "workload": {"trace": {"synthetic": {"profile": ")" +
                             profile + R"("}}}, "plan": {"expert_parallel": 8})" + more + "}");
  }

  Outcome check(const std::string& more = "") const {
    return run_program("check " + scenario + more);
  }
};

void check_refused(const Outcome& outcome, const std::string& path) {
  CAPTURE(outcome.output);
  CHECK(outcome.code == 2);
  CHECK(outcome.output.find(fs::weakly_canonical(path).string()) != std::string::npos);
  CHECK(outcome.output.find("--allow-outside") != std::string::npos);
  CHECK(outcome.output.find("s.json:") != std::string::npos);
}

}  // namespace

TEST_CASE("A scenario reads what lies in its folder") {
  const Folders folders;
  folders.write("profile.json");
  CHECK(folders.check().code == 0);
  folders.write("../mine/./profile.json");
  CHECK(folders.check().code == 0);
}

TEST_CASE("A path that leads out of the folder is refused unless --allow-outside is given") {
  const Folders folders;
  for (const std::string& path :
       {std::string("../theirs/profile.json"), folders.top / "theirs/profile.json"}) {
    folders.write(path);
    check_refused(folders.check(), folders.top / "theirs/profile.json");
    CHECK(folders.check(" --allow-outside").code == 0);
  }
}

TEST_CASE("A symlink that leads out of the folder is refused") {
  const Folders folders;
  fs::create_symlink(folders.top / "theirs", folders.top / "mine/link");
  folders.write("link/profile.json");
  check_refused(folders.check(), folders.top / "theirs/profile.json");
}

TEST_CASE("A folder of texts is refused for a link in it that leads out") {
  const Folders folders;
  fs::create_directories(folders.top / "mine/texts");
  write_file(folders.top / "mine/texts/code.txt", "int main() {}");
  folders.write("profile.json");
  nlohmann::json file = nlohmann::json::parse(read_text_file(folders.scenario));
  file["model"] = "reference";
  file["workload"]["trace"] = {{"forward", {{"texts", "texts"}}}};
  file["plan"] = nlohmann::json::object();
  write_file(folders.scenario, file.dump());
  const Outcome outcome = folders.check();
  CAPTURE(outcome.output);
  CHECK(outcome.code == 0);
  fs::create_symlink(folders.top / "theirs/profile.json", folders.top / "mine/texts/prose.txt");
  check_refused(folders.check(), folders.top / "theirs/profile.json");
}

TEST_CASE("A cluster preset in the folder names no file outside of it either") {
  const Folders folders;
  write_file(folders.top / "theirs/kernels.csv", "kernel,precision,inner,outer,rows,time_us\n");
  const std::string preset = folders.top / "mine/c.json";
  write_file(preset, R"({"accelerator": "h100-sxm", "topology": "single_node", "source": "s",
                         "nodes": 1, "gpus_per_node": 8, "kernel_table": "../theirs/kernels.csv"})");
  folders.write("profile.json", R"("preset": ")" + preset + "\"");
  check_refused(folders.check(), folders.top / "theirs/kernels.csv");
}

TEST_CASE("A model, a trace, a placement and a table outside are refused by their own keys") {
  const Folders folders;
  folders.write("profile.json");
  nlohmann::json file = nlohmann::json::parse(read_text_file(folders.scenario));
  const auto refused = [&](const std::string& pointer, const nlohmann::json& value,
                           const std::string& key) {
    nlohmann::json other = file;
    other[nlohmann::json::json_pointer(pointer)] = value;
    write_file(folders.scenario, other.dump());
    const Outcome outcome = folders.check();
    check_refused(outcome, folders.top / "theirs/profile.json");
    CHECK(outcome.output.find(key + ": ") != std::string::npos);
  };
  const std::string out = "../theirs/profile.json";
  refused("/model", out, "model");
  refused("/workload/trace", {{"file", out}}, "workload.trace.file");
  refused("/plan/placement", {{"file", out}}, "plan.placement.file");
  refused("/cluster/calibration", out, "cluster.calibration");
}

TEST_CASE("What --set names is the user's own") {
  const Folders folders;
  folders.write("profile.json");
  CHECK(
      folders
          .check(" --set workload.trace.synthetic.profile=" + (folders.top / "theirs/profile.json"))
          .code == 0);
}

TEST_CASE("\"folder\" leads out only to a scenario with a search of the same name") {
  const Folders folders;
  folders.write("profile.json", R"("preset": "h100-ib")",
                R"(, "folder": ")" + (folders.top / "theirs") + "\"");
  check_refused(folders.check(), folders.top / "theirs/profile.json");
  const std::string origin = folders.top / "theirs/origin.json";
  folders.write("profile.json", R"("preset": "h100-ib")", R"(, "folder": ")" + origin + "\"");
  write_file(origin, R"({"name": "another", "search": {}})");
  check_refused(folders.check(), folders.top / "theirs/profile.json");
  write_file(origin, R"({"name": "n", "search": {}})");
  CHECK(folders.check().code == 0);
}

TEST_CASE("A plan that search wrote runs as it is, from anywhere") {
  const Folders folders;
  folders.write("profile.json", R"("preset": "h100-ib")",
                R"(, "search": {"over": {"plan.placement": ["contiguous", "eplb"]}})");
  const std::string few =
      " --set workload.steps=1 --set workload.trace.synthetic.tokens=512"
      " --set workload.requests_per_rank=4";
  const Outcome searched =
      run_program("search " + folders.scenario + few + " --out " + (folders.top / "found"));
  CAPTURE(searched.output);
  REQUIRE(searched.code == 0);
  const Outcome again = run_program("run " + (folders.top / "found/plans/01.json") + " --out " +
                                    (folders.top / "again"));
  CAPTURE(again.output);
  CHECK(again.code == 0);
}
