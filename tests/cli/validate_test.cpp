// moesim validate and moesim calibrate as a user calls them.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sim/io/json_reader.h"
#include "tests/cli/program.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

// One low-latency log of 8 ranks, slower than the shipped constants say. The figures are invented.
std::string slow_log() {
  std::string log = "Allocating buffer size: 2116.291072 MB ...\n";
  for (int rank = 0; rank < 8; ++rank)
    log += "[rank " + std::to_string(rank) +
           "] Dispatch bandwidth: 54.18 GB/s, avg_t=140.00 us | Combine bandwidth: 73.40 GB/s, "
           "avg_t=200.00 us\n";
  return log;
}

void check_says(const Outcome& outcome, int code, const std::vector<std::string>& parts) {
  INFO(outcome.output);
  CHECK(outcome.code == code);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.output.find(part) != std::string::npos);
  }
}

// The shipped records of single exchanges: a tenth of the time that all take.
std::string exchanges_in(const TemporaryFolder& folder) {
  auto records = nlohmann::json::parse(
      read_text_file(test::source_dir() + "/topologies/calibration/records/published.json"));
  auto& all = records.at("measurements");
  nlohmann::json kept = nlohmann::json::array();
  for (const auto& record : all)
    if (record.at("typed").is_object() && record.at("typed").at("kind") == "exchange")
      kept.push_back(record);
  all = kept;
  write_file(folder / "exchanges.json", records.dump());
  return folder / "exchanges.json";
}

}  // namespace

TEST_CASE("validate prints errors by exchange and test bed and writes its page") {
  const TemporaryFolder folder;
  check_says(run_program("validate --out " + (folder / "v")), 0,
             {"deepep_low_latency dispatch", "H800-IB-deepseek", "not simulated, because",
              "line rate + constant", "wrote "});
  for (const char* file : {"validation.md", "validation.svg", "validation.csv"})
    CHECK(std::filesystem::file_size(folder / ("v/" + std::string(file))) > 1000);
}

TEST_CASE("validate keeps to one split where it is asked to") {
  const TemporaryFolder folder;
  const std::string records = exchanges_in(folder);
  const Outcome outcome = run_program("validate --split calibrate --records " + records);
  check_says(outcome, 0, {"118 records simulated", "deepep_v2 combine"});
  CHECK(outcome.output.find("reference ") == std::string::npos);
  check_says(run_program("validate --split calibrat --records " + records), 2,
             {"no record of split \"calibrat\""});
}

TEST_CASE("A record file that is wrong is answered with its place") {
  const TemporaryFolder folder;
  write_file(folder / "r.json", R"({"measurements": [{"id": "a"}]})");
  check_says(run_program("validate --records " + (folder / "r.json")), 2, {"r.json:1:", "testbed"});
  check_says(run_program("validate --records " + (folder / "none.json")), 2, {"none.json"});
}

TEST_CASE("calibrate turns a log into constants that scenarios and validate use") {
  const TemporaryFolder folder;
  write_file(folder / "low_latency.log", slow_log());
  const std::string out = folder / "ours.json";
  check_says(run_program("calibrate " + (folder / "low_latency.log") +
                         " --accelerator H800 --ranks 8 --experts 256 -o " + out),
             0, {"deepep_low_latency dispatch", "within a node", "low_latency.log:2", "wrote "});
  const JsonNode entry = read_json_file(out)
                             .at("algorithms")
                             .at("deepep_low_latency")
                             .at("dispatch")
                             .at("within_node");
  CHECK(entry.at("basis").as_string() == "calibrated");
  const JsonNode residual = entry.at("residuals").items().front();
  CHECK(residual.at("before").as_number() < -0.3);
  CHECK(std::abs(residual.at("after").as_number()) < 0.12);
  check_says(run_program("check " + test::kFirstRun + " --set cluster.calibration=" + out), 0, {});
  check_says(run_program("validate --calibration " + out + " --records " + exchanges_in(folder)), 0,
             {"deepep_low_latency dispatch"});
}

TEST_CASE("calibrate says what it cannot use") {
  const TemporaryFolder folder;
  check_says(run_program("calibrate"), 2, {"nothing to calibrate on", "--records"});
  write_file(folder / "other.log", "hello\n");
  check_says(run_program("calibrate " + (folder / "other.log") + " --accelerator H800 --ranks 8"),
             2, {"other.log"});
  write_file(folder / "low_latency.log", slow_log());
  check_says(run_program("calibrate " + (folder / "low_latency.log") + " --ranks 8 -o " +
                         (folder / "c.json")),
             2, {"--accelerator"});
  CHECK_FALSE(std::filesystem::exists(folder / "c.json"));
  check_says(run_program("calibrate " + (folder / "low_latency.log") +
                         " --accelerator H800 --ranks 8 -o " + (folder / "none/c.json")),
             3, {"none"});
}

TEST_CASE("A scenario whose calibration is wrong is refused at its key") {
  const TemporaryFolder folder;
  write_file(folder / "c.json", R"({"algorithms": {"deepep_low_latency": {"dispatch": {
      "within_node": {"fixed": "10 kg"}}}}})");
  check_says(
      run_program("check " + test::kFirstRun + " --set cluster.calibration=" + (folder / "c.json")),
      2, {"c.json:2:", "fixed", "10 kg"});
}

TEST_CASE("A scenario whose table of kernels is wrong is refused at its key and the table's cell") {
  const TemporaryFolder folder;
  write_file(folder / "k.csv",
             "kernel,precision,inner,outer,rows,time_us\ndense_gemm,fp8,1,2,3,-4\n");
  check_says(
      run_program("check " + test::kFirstRun + " --set cluster.kernel_table=" + (folder / "k.csv")),
      2, {"k.csv:2:", "time_us", "-4"});
}
