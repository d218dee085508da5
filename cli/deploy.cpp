// moesim deploy: a prefill scenario and a decode scenario become the two kinds of pools of one
// deployment.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "analysis/metrics/metric_text.h"
#include "cli/commands.h"
#include "cli/outside_option.h"
#include "cli/progress.h"
#include "sim/memory/rank_memory.h"
#include "sim/study/deployment.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

struct DeployArguments {
  std::string prefill, decode, out = "out/deployment";
  std::vector<std::string> prefill_overrides, decode_overrides;
  Traffic traffic;
  int jobs = 0;
  bool json = false;
  Outside outside = Outside::refused;
};

struct Pool {
  StudyPoint point;
  PointResult result;
};

Pool run_pool(const std::string& scenario,
              const std::vector<std::string>& overrides,
              const std::string& out,
              const DeployArguments& arguments) {
  const Study study = load_study(scenario, overrides, arguments.outside);
  if (study.points.size() != 1)
    throw InputError(
        fmt::format("{}: a pool is one point, the file spans {}; take one with "
                    "--set-prefill or --set-decode 'vary={{}}'",
                    scenario, study.points.size()));
  RunOptions options;
  options.out = out;
  options.overrides = overrides;
  options.jobs = jobs_or_cores(arguments.jobs);
  show_progress(options);
  return {study.points.front(), run_study(study, options).points.front()};
}

HandOver hand_over_of(const Pool& prefill, const Pool& decode, double prompt_tokens) {
  const Scenario& scenario = decode.point.scenario;
  HandOver hand_over;
  const Parallelism& ranks = scenario.plan.parallelism;
  const MoeModel model = load_model(scenario.model);
  for (int stage = 0; stage < ranks.pipeline; ++stage)  // the fullest one's
    hand_over.of_rank =
        std::max(hand_over.of_rank,
                 request_cache_bytes(model, scenario.plan, std::llround(prompt_tokens), stage));
  hand_over.ranks = ranks.tensor * ranks.pipeline;
  hand_over.nic = scenario.cluster.options.nic;
  hand_over.step_tokens = prefill.point.scenario.workload.tokens_per_rank;
  hand_over.prefill_stages = prefill.point.scenario.plan.parallelism.pipeline;
  return hand_over;
}

void print_kind(const PoolKind& kind) {
  fmt::print("  {:<8} {} pool{} of {} GPUs ({:.2f} needed), {:.3g} requests/s each ({})\n",
             kind.name, kind.pools, kind.pools == 1 ? "" : "s", kind.gpus, kind.exact,
             kind.requests.value, band_text(kind.requests));
}

void print(const Deployment& deployment, const Traffic& traffic) {
  fmt::print("{:.4g} requests/s of {:g} prompt tokens ({:g} % cached) and {:g} output tokens:\n",
             deployment.requests_per_second, traffic.prompt_tokens, 100 * traffic.cached_share,
             traffic.output_tokens);
  print_kind(deployment.prefill);
  print_kind(deployment.decode);
  fmt::print("  {} GPUs, {:.4g} output tokens/s/GPU over all of them ({})\n", deployment.gpus,
             deployment.output_per_gpu.value, band_text(deployment.output_per_gpu));
  fmt::print("  first token after {} without queueing, of which {} hand over {} of KV cache\n",
             metric_text(deployment.first_token), metric_text(deployment.hand_over_time),
             to_text(deployment.hand_over));
  fmt::print(
      "  then {} a token; the hand-over takes {:.1f} % of the decode GPUs' scale-out "
      "bandwidth\n",
      metric_text(deployment.time_per_output_token), 100 * deployment.hand_over_share);
}

nlohmann::json kind_json(const PoolKind& kind) {
  return {
      {"gpus", kind.gpus},
      {"pools", kind.pools},
      {"exact", kind.exact},
      {"requests_per_second",
       {{"value", kind.requests.value}, {"low", kind.requests.low}, {"high", kind.requests.high}}}};
}

void print_json(const Deployment& deployment) {
  fmt::print("{}\n",
             nlohmann::json{{"requests_per_second", deployment.requests_per_second},
                            {"prefill", kind_json(deployment.prefill)},
                            {"decode", kind_json(deployment.decode)},
                            {"gpus", deployment.gpus},
                            {"output_tokens_per_second_per_gpu", deployment.output_per_gpu.value},
                            {"time_to_first_token_s", deployment.first_token.value},
                            {"time_per_output_token_s", deployment.time_per_output_token.value},
                            {"hand_over_bytes", deployment.hand_over.value},
                            {"hand_over_s", deployment.hand_over_time.value},
                            {"hand_over_share", deployment.hand_over_share}}
                 .dump(1));
}

void deploy(const DeployArguments& arguments) {
  const Pool prefill = run_pool(arguments.prefill, arguments.prefill_overrides,
                                arguments.out + "/prefill", arguments);
  const Pool decode =
      run_pool(arguments.decode, arguments.decode_overrides, arguments.out + "/decode", arguments);
  const Deployment deployment =
      plan_deployment(prefill.result, decode.result, arguments.traffic,
                      hand_over_of(prefill, decode, arguments.traffic.prompt_tokens));
  if (arguments.json)
    print_json(deployment);
  else
    print(deployment, arguments.traffic);
}

void add_deploy(CLI::App& command) {
  const auto arguments = std::make_shared<DeployArguments>();
  Traffic& traffic = arguments->traffic;
  command.add_option("prefill", arguments->prefill, "scenario of a prefill pool, one point")
      ->required();
  command.add_option("decode", arguments->decode, "scenario of a decode pool, one point")
      ->required();
  command
      .add_option("--set-prefill", arguments->prefill_overrides,
                  "override a key of the prefill pool: --set-prefill plan.overlap=two_batch "
                  "(repeatable)")
      ->allow_extra_args(false);
  command.add_option("--set-decode", arguments->decode_overrides, "the same of the decode pool")
      ->allow_extra_args(false);
  command.add_option("--prompt", traffic.prompt_tokens, "tokens of a prompt, mean")
      ->capture_default_str();
  command.add_option("--output", traffic.output_tokens, "tokens of an answer, mean")
      ->capture_default_str();
  command
      .add_option("--cached", traffic.cached_share, "share of the prompt found in a cache, 0 to 1")
      ->capture_default_str();
  command.add_option("--requests-per-second", traffic.requests_per_second,
                     "to be carried (default: what one prefill pool gives)");
  command.add_option("--out", arguments->out, "folder of the pools' results")
      ->capture_default_str();
  add_outside_option(command, arguments->outside);
  command.add_option("--jobs", arguments->jobs, "points at a time (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--json", arguments->json, "print JSON");
  command.footer("Example: moesim deploy prefill.json decode.json --prompt 4096 --output 1024");
  command.callback([arguments] { deploy(*arguments); });
}

const Registered<Command> registered{
    "deploy", "Size prefill and decode pools for a traffic", {add_deploy}};

}  // namespace
}  // namespace moesim
