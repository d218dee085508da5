// Tensor-parallel exchanges as collectives of each group's token copies.
#include "sim/plan/tensor_exchanges.h"

#include "sim/plan/collective.h"

namespace moesim {

TensorExchanges::TensorExchanges(const StepInputs& inputs,
                                 const Batch& batch,
                                 const FabricPaths& paths)
    : needed_(inputs.plan.parallelism.tensor > 1) {
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  for (const std::vector<std::uint32_t>& rows : batch.rows)
    for (std::size_t member = 0; member < tensor; ++member)
      tokens_.push_back(static_cast<std::uint32_t>((rows.size() + tensor - 1 - member) / tensor));
  if (!needed_) return;
  const CollectiveShape shape{inputs.plan.parallelism.tensor, inputs.cluster.fabric.ranks_per_node,
                              tokens_, row_bytes(inputs.model.hidden, PayloadFormat::bf16)};
  const bool whole_rows = inputs.plan.tensor_reduction == TensorReduction::allreduce ||
                          inputs.plan.parallelism.expert_tensor > 1;
  const std::string reduction =
      whole_rows ? nccl_allreduce(inputs.cluster, paths, shape) : "reduce_scatter";
  const auto exchange = [&](const std::string& name) {
    return make_collective(inputs.cluster, paths, name, shape,
                           {inputs.keep_flows, inputs.keep_shares});
  };
  reduce_ = exchange(reduction);
  gather_ = exchange("all_gather");
}

}  // namespace moesim
