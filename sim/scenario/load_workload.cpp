// Requests, their context, and what a step meets beside them.
#include "sim/scenario/load_workload.h"

namespace moesim {
namespace {

void read_tokens_per_rank(const JsonNode& node, WorkloadSpec& workload) {
  const char* wanted = workload.phase == Phase::decode ? "requests_per_rank" : "tokens_per_rank";
  const char* other = workload.phase == Phase::decode ? "tokens_per_rank" : "requests_per_rank";
  if (const auto unused = node.find(other)) {
    unused->fail(std::string("is not used in this phase; write \"") + wanted + "\"");
  }
  const auto count = node.find(wanted);
  if (!count) return;
  if (!count->is_object()) {
    workload.tokens_per_rank = static_cast<int>(count->as_int(1, 1 << 20));
    return;
  }
  count->allow_only({"mean", "spread"});
  workload.tokens_per_rank = static_cast<int>(count->at("mean").as_int(1, 1 << 20));
  if (const auto spread = count->find("spread")) workload.spread = spread->as_ratio(0, 1);
}

void read_context(const JsonNode& node, WorkloadSpec& workload) {
  if (!node.is_object()) {
    workload.context_median = static_cast<double>(node.as_int(0, 1 << 24));
    return;
  }
  node.allow_only({"lognormal"});
  const JsonNode lognormal = node.at("lognormal");
  lognormal.allow_only({"median", "sigma"});
  workload.context_median = static_cast<double>(lognormal.at("median").as_int(1, 1 << 24));
  workload.context_sigma = lognormal.at("sigma").as_ratio(0, 4);
}

BatchPadding read_padding(const JsonNode& node) {
  node.allow_only({"batch_sizes", "to_largest"});
  BatchPadding padding;
  if (const auto sizes = node.find("batch_sizes")) {
    for (const JsonNode& size : sizes->items()) {
      const int least = padding.batch_sizes.empty() ? 1 : padding.batch_sizes.back() + 1;
      padding.batch_sizes.push_back(static_cast<int>(size.as_int(least, 1 << 20, {1, 1 << 20})));
    }
  }
  if (const auto all = node.find("to_largest")) padding.to_largest = all->as_bool();
  return padding;
}

void read_conditions(const JsonNode& node, WorkloadSpec& workload) {
  if (const auto padding = node.find("padding")) {
    if (workload.phase == Phase::prefill)
      padding->fail("is not used in this phase: graphs are captured for decode steps");
    workload.padding = read_padding(*padding);
  }
  if (const auto drafting = node.find("multi_token_prediction")) {
    if (workload.phase == Phase::prefill)
      drafting->fail("is not used in this phase: decode steps check drafted tokens");
    drafting->allow_only({"tokens", "acceptance"});
    workload.drafting.tokens = static_cast<int>(drafting->at("tokens").as_int(1, 16));
    workload.drafting.acceptance = drafting->at("acceptance").as_ratio(0, 1);
  }
  if (const auto host = node.find("host")) {
    host->allow_only({"time", "spread", "launch"});
    const auto time = host->find("time"), launch = host->find("launch");
    if (!time && !launch)
      host->fail("needs \"time\", of the host a step, or \"launch\", of the host a kernel");
    if (time) workload.host_time = time->as_seconds();
    if (launch) workload.launch = launch->as_seconds();
    if (const auto spread = host->find("spread")) workload.host_spread = spread->as_ratio(0, 4);
  }
  if (const auto noise = node.find("noise")) {
    noise->allow_only({"rank", "kernel"});
    if (const auto rank = noise->find("rank")) workload.noise.rank = rank->as_ratio(0, 4);
    if (const auto kernel = noise->find("kernel")) workload.noise.kernel = kernel->as_ratio(0, 4);
  }
}

}  // namespace

WorkloadSpec read_workload(const JsonNode& node) {
  node.allow_only({"trace", "phase", "requests_per_rank", "tokens_per_rank", "context", "steps",
                   "planning_share", "planning", "windows", "padding", "host", "noise",
                   "multi_token_prediction", "slo"});
  WorkloadSpec workload;
  if (const auto phase = node.find("phase")) {
    workload.phase = phase->as_choice({"decode", "prefill"}, "phase") == "decode" ? Phase::decode
                                                                                  : Phase::prefill;
  }
  if (workload.phase == Phase::prefill) {
    workload.tokens_per_rank = 4096;
    workload.context_median = 0;
  }
  read_tokens_per_rank(node, workload);
  read_conditions(node, workload);
  if (const auto context = node.find("context")) read_context(*context, workload);
  if (const auto steps = node.find("steps"))
    workload.steps = static_cast<int>(steps->as_int(1, 1000));
  if (const auto windows = node.find("windows"))
    workload.windows = static_cast<int>(windows->as_int(1, 1000));
  if (const auto planning = node.find("planning"))
    workload.planned_on_mix = planning->as_choice({"before", "mix"}, "planning rows") == "mix";
  if (const auto share = node.find("planning_share"))
    workload.planning_share = share->as_ratio(0, 0.95);
  return workload;
}

}  // namespace moesim
