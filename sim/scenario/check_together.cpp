#include "sim/scenario/check_together.h"

#include <fmt/format.h>

namespace moesim {
namespace {

// What fetching experts from host memory is not built for.
void check_with_host_memory(const JsonNode& root, const Scenario& scenario) {
  const auto node = root.at("plan").find("resident_experts");
  if (!node) return;
  if (!(load_accelerator(scenario.cluster.accelerator).pcie.value > 0))
    node->fail("wants experts fetched from host memory; " + scenario.cluster.accelerator +
               " states no \"pcie\" bandwidth");
  if (scenario.plan.parallelism.expert_tensor > 1)
    node->fail("is of whole experts; plan.expert_tensor_parallel splits them");
  if (scenario.rebalance) node->fail("keeps the experts it was planned with; take out rebalance");
  for (const Fault& fault : scenario.faults)
    if (fault.kind == FaultKind::rank_lost)
      throw InputError(fault.where,
                       "a rank can be lost where all experts stay on GPUs; plan.resident_experts "
                       "is given");
}

// What a pipeline's steps are not built for.
void check_with_pipeline(const JsonNode& root, const Scenario& scenario) {
  const int stages = scenario.plan.parallelism.pipeline;
  if (stages == 1) return;
  if (scenario.rebalance)
    root.at("plan")
        .at("rebalance")
        .fail(fmt::format("moves experts in a pool of one stage only; plan.pipeline_parallel is {}",
                          stages));
  for (const Fault& fault : scenario.faults)
    if (fault.kind == FaultKind::rank_lost)
      throw InputError(fault.where, fmt::format("a rank can be lost in a pool of one stage only; "
                                                "plan.pipeline_parallel is {}",
                                                stages));
}

}  // namespace

void check_together(const JsonNode& root, const Scenario& scenario) {
  check_with_pipeline(root, scenario);
  check_with_host_memory(root, scenario);
}

}  // namespace moesim
