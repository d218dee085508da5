// Every scenario that comes with the project: it asks a question, says what the answer was, loads
// as it is, and runs at a size that takes seconds.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "sim/result/result.h"
#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

struct Reduced {
  std::string name;
  std::size_t shipped;   // points of the file as it is
  std::size_t points;    // of the reduced study
  std::string settings;  // that reduce it
};

const std::string kFew = " --set workload.steps=1 --set workload.trace.synthetic.tokens=2048";
const std::string kTwoNodes =
    " --set cluster.nodes=2 --set plan.expert_parallel=16"
    " --set plan.redundant_experts=16 --set workload.requests_per_rank=8";

std::string vary(const std::string& axes) { return " --set 'vary={" + axes + "}'"; }

// One row a file of scenarios/.
const std::vector<Reduced>& library() {
  static const std::vector<Reduced> rows{
      {"agentic_decode", 12, 4,
       kFew + vary(R"("workload.context":[4096,65536],"plan.precision.kv_cache":["bf16","fp8"])")},
      {"agentic_prefill", 3, 2,
       kFew + " --set workload.tokens_per_rank=256" + vary(R"("workload.context":[0,65536])")},
      {"context_parallel", 7, 7, kFew + " --set workload.context=8192"},
      {"deepseek_v3_320", 1, 1, kFew + kTwoNodes},
      {"deepseek_v3_decode", 8, 2,
       kFew + kTwoNodes + vary(R"("workload.trace.synthetic.like":["deepseek-v3","uniform"])")},
      {"deepseek_v3_prefill", 4, 4, kFew + " --set workload.tokens_per_rank=256"},
      {"ep_size_h800", 8, 4,
       kFew + vary(R"("cluster.nodes":[4,8],"workload.requests_per_rank":[4,8])")},
      {"eplb_under_drift", 3, 3,
       kFew + kTwoNodes + " --set workload.windows=2 --set workload.trace.synthetic.tokens=4096"},
      {"faults", 1, 1,
       " --set workload.steps=2"
       " --set workload.trace.forward.tokens_per_domain=256"},
      {"first_run", 2, 2,
       " --set workload.steps=1 --set workload.trace.forward.tokens_per_domain=256"},
      {"imported_trace", 2, 2, " --set workload.steps=1"},
      {"large_models", 36, 6,
       kFew + " --set workload.requests_per_rank=8 --set cluster.nodes=2" +
           vary(R"("model":["minimax-m2.7","deepseek-v4-flash","deepseek-v4-pro"],)"
                R"("plan.precision.experts":["mxfp4","iq1_s"])")},
      {"low_latency_or_normal", 12, 4,
       kFew + kTwoNodes +
           vary(R"("workload.requests_per_rank":[8,16],)"
                R"("plan.all_to_all":["deepep_low_latency","deepep_normal"])")},
      {"nodes_for_50_ms", 30, 4,
       kFew + vary(R"("cluster.nodes":[4,5],"workload.requests_per_rank":[4,8])")},
      {"nvl72_or_ib", 6, 3,
       kFew + " --set workload.requests_per_rank=4" +
           vary(R"("cluster":[{"preset":"gb200-nvl"},{"preset":"b200-ib","nodes":9},)"
                R"({"preset":"h800-ib","nodes":9}])")},
      {"oversubscription", 6, 4,
       kFew +
           " --set workload.requests_per_rank=4 --set cluster.nodes=4"
           " --set cluster.nodes_per_leaf=2 --set plan.expert_parallel=32" +
           vary(R"("plan.all_to_all":["deepep_low_latency","deepep_normal"],)"
                R"("cluster.oversubscription":[1,4])")},
      {"pipeline_or_experts", 6, 3,
       kFew + " --set 'zip={\"plan.pipeline_parallel\":[1,2,4],"
              "\"workload.requests_per_rank\":[4,8,16]}'"},
      {"rebalance", 4, 2,
       kFew + kTwoNodes + " --set workload.windows=2 --set workload.trace.synthetic.tokens=4096" +
           vary(R"("plan.rebalance":["never",{"every":1,"layers_per_chunk":29}])")},
      {"redundant_experts", 8, 2, kFew + kTwoNodes + vary(R"("plan.redundant_experts":[0,16])")},
      {"search_h800_decode", 1, 1, kFew + kTwoNodes},
      {"slow_gpu_lost_nic", 4, 4, kFew + kTwoNodes},
      {"small_models", 36, 6,
       kFew + " --set workload.requests_per_rank=8 --set cluster.gpus_per_node=4" +
           vary(R"("model":["mixtral-8x7b","nemotron-3-nano-30b-a3b","qwen3.6-35b-a3b"],)"
                R"("plan.precision.experts":["fp8","iq1_s"])")},
      {"synthetic_deepseek_v3", 2, 2, kFew + kTwoNodes},
      {"trillion_parameters", 18, 2,
       kFew + " --set workload.requests_per_rank=4 --set cluster.preset=b200-ib" +
           " --set cluster.nodes=2" + vary(R"("plan.precision.experts":["fp8","int4"])")},
  };
  return rows;
}

std::string path_of(const Reduced& row) {
  return test::source_dir() + "/scenarios/" + row.name + ".json";
}

// The one scenario of a trace of the user's own gets one here.
std::string traced(const Reduced& row, const TemporaryFolder& folder) {
  if (row.name != "imported_trace") return "";
  const std::string trace = folder / "trace.safetensors";
  REQUIRE(run_program("trace synth --like olmoe --tokens 2048 --out " + trace).code == 0);
  return " --set workload.trace.file=" + trace;
}

}  // namespace

TEST_CASE("Every scenario asks a question, has an answer and loads as it is") {
  std::set<std::string> listed;
  for (const Reduced& row : library()) {
    CAPTURE(row.name);
    listed.insert(row.name);
    const TemporaryFolder folder;
    const auto scenario = nlohmann::json::parse(read_text_file(path_of(row)));
    CHECK(scenario.at("name").get<std::string>().ends_with('?'));
    CHECK(scenario.at("_answer").get<std::string>().ends_with('.'));
    const Outcome outcome = run_program("check " + path_of(row) + traced(row, folder));
    INFO(outcome.output);
    CHECK(outcome.code == 0);
    const std::string points =
        row.shipped == 1 ? ": 1 point\n" : ": " + std::to_string(row.shipped) + " points\n";
    CHECK(outcome.output.find(points) != std::string::npos);
  }
  std::set<std::string> shipped;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() + "/scenarios"))
    if (entry.path().extension() == ".json") shipped.insert(entry.path().stem().string());
  CHECK(listed == shipped);
}

TEST_CASE("docs/scenarios.md has every scenario with its question") {
  const std::string page = read_text_file(test::source_dir() + "/docs/scenarios.md");
  for (const Reduced& row : library()) {
    CAPTURE(row.name);
    const auto scenario = nlohmann::json::parse(read_text_file(path_of(row)));
    CHECK(page.find("scenarios/" + row.name + ".json") != std::string::npos);
    CHECK(page.find(scenario.at("name").get<std::string>()) != std::string::npos);
    CHECK(page.find(scenario.at("_answer").get<std::string>()) != std::string::npos);
  }
}

TEST_CASE("Every scenario runs at reduced size and passes its checks") {
  for (const Reduced& row : library()) {
    CAPTURE(row.name);
    const TemporaryFolder folder;
    const Outcome outcome = run_program("run " + path_of(row) + row.settings + traced(row, folder) +
                                        " --out " + (folder / "out"));
    INFO(outcome.output);
    REQUIRE(outcome.code == 0);
    const StudyResult study =
        study_result_from_json(nlohmann::json::parse(read_text_file(folder / "out/result.json")));
    CHECK(study.points.size() == row.points);
    for (const PointResult& point : study.points) {
      CAPTURE(point.label);
      CHECK(point.ran);
      CHECK_FALSE(point.checks.empty());
      CHECK(std::all_of(point.checks.begin(), point.checks.end(),
                        [](const CheckResult& check) { return check.passed; }));
    }
  }
}
