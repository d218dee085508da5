// Every mistake a scenario can hold is answered with file, line, column, key and what to write
// instead; exit code 2.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/cli/program.h"

using namespace moesim;
using moesim::test::kFirstRun;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

// first_run.json with one piece of text exchanged, checked by the program.
Outcome check_edited(const std::string& from, const std::string& to) {
  const TemporaryFolder folder;
  std::string text = read_text_file(kFirstRun);
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  write_file(folder / "edited.json", text);
  return run_program("check " + (folder / "edited.json"));
}

void check_refused(const Outcome& outcome, const std::vector<std::string>& parts) {
  CHECK(outcome.code == 2);
  for (const std::string& part : parts) {
    INFO(outcome.output);
    CHECK(outcome.output.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("The first scenario is accepted and spans its two placements") {
  const Outcome outcome = run_program("check " + kFirstRun);
  INFO(outcome.output);
  CHECK(outcome.code == 0);
  CHECK(outcome.output.find("2 points") != std::string::npos);
  CHECK(outcome.output.find("plan.placement = eplb") != std::string::npos);
}

TEST_CASE("A missing scenario file is named") {
  check_refused(run_program("run /nonexistent/a.json"), {"/nonexistent/a.json", "No such file"});
}

TEST_CASE("An empty scenario file is refused with its place") {
  const TemporaryFolder folder;
  write_file(folder / "empty.json", "");
  check_refused(run_program("run " + (folder / "empty.json")),
                {"empty.json:1:1", "not valid JSON"});
}

TEST_CASE("A JSON syntax error names line and column") {
  check_refused(check_edited("\"steps\": 4", "\"steps\": 4,"),
                {"edited.json:13:3", "not valid JSON"});
}

TEST_CASE("An unknown key is answered with the nearest one") {
  check_refused(
      check_edited("\"redundant_experts\"", "\"redundent_experts\""),
      {"edited.json:16:26", "plan.redundent_experts", "did you mean \"redundant_experts\""});
}

TEST_CASE("A duplicate key is refused at its second place") {
  check_refused(check_edited("\"seed\": 1", "\"seed\": 1,\n  \"seed\": 2"),
                {"edited.json:23:3", "seed", "duplicate key"});
}

TEST_CASE("A bare number for a bandwidth is answered with the spelling to use") {
  check_refused(check_edited("\"nodes\": 2", "\"nodes\": 2, \"nic\": 400"),
                {"edited.json:6:56", "cluster.nic", "400 Gb/s"});
}

TEST_CASE("A wrong unit is answered with the valid ones") {
  check_refused(check_edited("\"nodes\": 2", "\"nodes\": 2, \"nic\": \"400 Gbs\""),
                {"cluster.nic", "unknown unit \"Gbs\"", "Gb/s"});
}

TEST_CASE("An unknown model is answered with the nearest") {
  check_refused(check_edited("gpt-oss-20b", "gpt-oss-20"),
                {"edited.json:5:18", "shapes_from", "gpt-oss-20b"});
}

TEST_CASE("An unknown topology is answered with the valid ones") {
  check_refused(check_edited("\"nodes\": 2", "\"nodes\": 2, \"topology\": \"rail_optimised\""),
                {"cluster.topology", "did you mean \"rail_optimized\"", "single_node"});
}

TEST_CASE("An unknown cluster preset is answered with the valid ones") {
  check_refused(check_edited("h100-ib", "h100-ibb"), {"cluster.preset", "h100-ib"});
}

TEST_CASE("An unknown placement in vary is reported where it stands") {
  check_refused(check_edited("[\"contiguous\", \"eplb\"]", "[\"contiguous\", \"eplbb\"]"),
                {"edited.json:21:46", "plan.placement", "did you mean \"eplb\"", "round_robin"});
}

TEST_CASE("Expert parallelism that does not divide the slots names the sizes that do") {
  check_refused(check_edited("\"redundant_experts\": 16", "\"redundant_experts\": 5"),
                {"plan.expert_parallel", "37"});
}

TEST_CASE("Expert parallelism beyond the ranks is refused") {
  check_refused(check_edited("\"expert_parallel\": 16", "\"expert_parallel\": 32"),
                {"edited.json:15:24: plan.expert_parallel: 32 exceeds", "16"});
}

TEST_CASE("What a model or plan cannot do is refused where the file asks for it") {
  check_refused(
      check_edited("\"steps\": 4",
                   "\"multi_token_prediction\": { \"tokens\": 1, \"acceptance\": 0.8 }"),
      {"edited.json:12:", "workload.multi_token_prediction", "gpt-oss-20b has no such module"});
  check_refused(check_edited("\"redundant_experts\": 16", "\"expert_tensor_parallel\": 4"),
                {"edited.json:16:", "plan.expert_tensor_parallel: 4 with tensor_parallel 1"});
}

TEST_CASE("A timeline of a rank that the pool has not is refused before anything runs") {
  const TemporaryFolder folder;
  check_refused(run_program("run " + kFirstRun + " --ranks 99 --out " + (folder / "out")),
                {"--ranks 99: the pool has ranks 0 to 15"});
  CHECK(!std::filesystem::exists(folder / "out"));
}

TEST_CASE("An override with an unknown key is refused as the file's own would be") {
  check_refused(run_program("check " + kFirstRun + " --set plan.placment=eplb"),
                {"--set plan.placment=eplb", "did you mean"});
  check_refused(run_program("check " + kFirstRun + " --set nonsense"), {"key=value"});
}

TEST_CASE("An override that the study's own axis would set again is refused") {
  const std::string greedy = " --set plan.placement=greedy";
  check_refused(run_program("check " + kFirstRun + greedy),
                {"first_run.json", "vary", "--set plan.placement=\"greedy\" would be lost",
                 "--set 'vary={\"plan.placement\":[\"greedy\"]}'"});
  const std::string axis = " --set 'vary={\"plan.placement\":[\"contiguous\"]}'";
  CHECK(run_program("check " + kFirstRun + axis).code == 0);
  CHECK(run_program("check " + kFirstRun + greedy + axis).code == 0);  // the later one counts
  check_refused(run_program("check " + kFirstRun + axis + greedy), {"would be lost"});
  const std::string steps = data_path("scenarios/context_parallel.json");
  check_refused(run_program("check " + steps + " --set plan.context_parallel=2"),
                {"zip", "change the axis in place of it"});
}

TEST_CASE("A trace source must be one of file and forward, and exist") {
  check_refused(check_edited("\"forward\"", "\"file\": \"none.safetensors\", \"forward\""),
                {"workload.trace", "none.safetensors"});
}

TEST_CASE("An unknown subcommand or option is the user's mistake") {
  CHECK(run_program("runn x.json").code == 2);
  CHECK(run_program("run " + kFirstRun + " --jobs 0").code == 2);
  CHECK(run_program("").code == 2);
  CHECK(run_program("--help").code == 0);
}

TEST_CASE("A cache format that is not implemented is refused with those that are") {
  check_refused(check_edited("\"combine\": \"bf16\"", "\"kv_cache\": \"mxfp4\""),
                {"edited.json", "kv_cache", "mxfp4", "bf16, fp8"});
}

TEST_CASE("An exchange holds no more SMs than the accelerator has") {
  check_refused(
      check_edited("\"redundant_experts\"", "\"exchange_sms\": 133, \"redundant_experts\""),
      {"edited.json:16:", "plan.exchange_sms", "133 is out of range; allowed: 0 to 132"});
  CHECK(
      check_edited("\"redundant_experts\"", "\"exchange_sms\": 132, \"redundant_experts\"").code ==
      0);
}

TEST_CASE(
    "An algorithm that forwards over rails refuses EP groups of part nodes when it is loaded") {
  check_refused(run_program("check " + kFirstRun +
                            " --set cluster.nodes=3 --set plan.expert_parallel=12 "
                            "--set plan.all_to_all=deepep_normal"),
                {"--set plan.expert_parallel=12:1:1: plan.expert_parallel: deepep_normal forwards",
                 "12 ranks on nodes of 8"});
}

TEST_CASE("Nodes may differ in accelerator and pace, but not be unknown") {
  CHECK(check_edited("\"nodes\": 2",
                     "\"node_groups\": [{\"nodes\": 1, \"slow\": 1.2}, "
                     "{\"nodes\": 1, \"accelerator\": \"h200-sxm\"}]")
            .code == 0);
  check_refused(check_edited("\"nodes\": 2",
                             "\"node_groups\": [{\"nodes\": 1, \"accelerator\": "
                             "\"h21-sxm\"}]"),
                {"edited.json:6:", "cluster.node_groups.0.accelerator", "h200-sxm"});
}

namespace {

Outcome check_faults(const std::string& faults) {
  return check_edited("\"seed\": 1", "\"faults\": " + faults + ",\n  \"seed\": 1");
}

}  // namespace

TEST_CASE("Every kind of fault is accepted") {
  const Outcome outcome = check_faults(
      R"([{"kind": "link_down", "link": "leaf 3 > spine 1", "at": "5 ms"},
          {"kind": "link_degraded", "link": "nic 2", "factor": 0.5},
          {"kind": "nic_lost", "rank": 3, "at": "start"},
          {"kind": "slow_gpu", "rank": 4, "factor": 1.3, "at": "1 s"},
          {"kind": "rank_lost", "rank": 5, "at": "20 ms"}])");
  INFO(outcome.output);
  CHECK(outcome.code == 0);
}

TEST_CASE("A fault that is written wrongly is answered at its place") {
  check_refused(check_faults("{}"), {"edited.json:22:13", "faults: wants a list"});
  check_refused(check_faults("[3]"), {"edited.json:22:14", "a fault is an object"});
  check_refused(check_faults(R"([{"rank": 3}])"), {"edited.json:22:14", "kind"});
  check_refused(check_faults(R"([{"kind": "nic_lots", "rank": 3}])"),
                {"edited.json:22:23", "did you mean \"nic_lost\"", "rank_lost"});
  check_refused(check_faults(R"([{"kind": "nic_lost", "link": "nic 3"}])"),
                {"edited.json:22:", "unknown key", "rank"});
  check_refused(check_faults(R"([{"kind": "nic_lost", "rank": 16}])"),
                {"edited.json:22:43", "16 is out of range; allowed: 0 to 15"});
  check_refused(check_faults(R"([{"kind": "nic_lost", "rank": 3, "at": "later"}])"),
                {"edited.json:22:", "at"});
  check_refused(check_faults(R"([{"kind": "nic_lost", "rank": 3, "at": 20}])"),
                {"edited.json:22:", "\"start\" or a time, as in \"20 ms\""});
  check_refused(check_faults(R"([{"kind": "nic_lost", "rank": 3, "at": "-1 ms"}])"),
                {"edited.json:22:", "must not be negative"});
  check_refused(check_faults(R"([{"kind": "slow_gpu", "rank": 3, "factor": 0.5}])"),
                {"edited.json:22:", "factor", "1.0 to 1000.0"});
  check_refused(check_faults(R"([{"kind": "link_degraded", "link": "nic 3", "factor": 0}])"),
                {"edited.json:22:", "factor", "link_down"});
  check_refused(check_faults(R"([{"kind": "link_degraded", "link": "nic 3"}])"),
                {"edited.json:22:", "factor"});
  check_refused(check_faults(R"([{"kind": "link_down", "link": "nic 33"}])"),
                {"edited.json:22:44", "no link \"nic 33\"", "did you mean"});
}

TEST_CASE("A fault that the pool cannot go around is refused when it is loaded") {
  check_refused(check_faults(R"([{"kind": "link_down", "link": "nic", "at": "3 ms"}])"),
                {"edited.json:22:", "with link_down nic nothing joins rank 0 to rank 8",
                 "expert-parallel group"});
  check_refused(check_faults(R"([{"kind": "rank_lost", "rank": 3},
                                 {"kind": "rank_lost", "rank": 3}])"),
                {"edited.json:23:", "rank 3 is lost already"});
  check_refused(
      check_edited("\"deepep_low_latency\"",
                   "\"deepep_normal\" }, \"faults\": [{\"kind\": \"rank_lost\", "
                   "\"rank\": 3}], \"_rest\": {\"a\": 1"),
      {"edited.json:18:", "deepep_normal moves rows to or over rank 3", "deepep_low_latency"});
  // Whole nodes apart do not exchange: EP groups within nodes need no NIC.
  const Outcome apart = run_program("check " + kFirstRun + " --set plan.expert_parallel=8 " +
                                    "--set 'faults=[{\"kind\":\"link_down\",\"link\":\"nic\"}]'");
  INFO(apart.output);
  CHECK(apart.code == 0);
}

TEST_CASE("A capacity factor is a number from 0") {
  check_refused(
      check_edited("\"redundant_experts\"", "\"capacity_factor\": -1, \"redundant_experts\""),
      {"edited.json:16:", "plan.capacity_factor", "-1 is out of range; allowed: 0.0 to 1000.0"});
}

TEST_CASE("A tensor reduction is one of two") {
  check_refused(check_edited("\"redundant_experts\"",
                             "\"tensor_reduction\": \"allreduced\", \"redundant_experts\""),
                {"plan.tensor_reduction", "did you mean \"allreduce\""});
}

TEST_CASE("A price needs an amount and a currency") {
  for (const std::string price : {"2.5", "\"2.5\"", "\"USD\"", "\"-1 USD\"", "\"2 USD/h\""}) {
    CAPTURE(price);
    check_refused(check_edited("\"nodes\": 2", "\"nodes\": 2, \"price_per_gpu_hour\": " + price),
                  {"edited.json:6:", "cluster.price_per_gpu_hour"});
  }
}

TEST_CASE("An objective is of the phase, and above zero") {
  const auto with = [](const std::string& slo) {
    return check_edited("\"steps\": 4", "\"steps\": 4, \"slo\": " + slo);
  };
  CHECK(with("{ \"time_per_output_token\": \"50 ms\" }").code == 0);
  check_refused(with("{ \"time_to_first_token\": \"2 s\" }"),
                {"workload.slo.time_to_first_token", "write \"time_per_output_token\""});
  check_refused(with("{ \"time_per_output_token\": \"0 ms\" }"), {"must be above 0 s"});
  check_refused(with("{ \"time_per_output_token\": 50 }"),
                {"time_per_output_token", "a time needs its unit"});
  check_refused(with("{}"), {"workload.slo", "time_per_output_token"});
}
