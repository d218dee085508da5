// Tensor-parallel exchanges as token copies between the ranks of each group.
#include "sim/plan/tensor_exchanges.h"

namespace moesim {
namespace {

// What the ranks of each group send: [source][destination] rows; `gather` sends the source's
// tokens, else the destination's.
RoutedCopies group_copies(const std::vector<std::uint32_t>& tokens,
                          std::size_t tensor,
                          bool gather) {
  const std::size_t ranks = tokens.size();
  RoutedCopies copies;
  copies.ranks = static_cast<int>(ranks);
  copies.copies.assign(ranks * ranks, 0);
  for (std::size_t source = 0; source < ranks; ++source) {
    const std::size_t first = source / tensor * tensor;
    for (std::size_t destination = first; destination < first + tensor; ++destination)
      copies.copies[source * ranks + destination] = tokens[gather ? source : destination];
  }
  return copies;
}

}  // namespace

TensorExchanges::TensorExchanges(const StepInputs& inputs,
                                 const Batch& batch,
                                 const FabricPaths& paths)
    : needed_(inputs.plan.parallelism.tensor > 1) {
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  for (const std::vector<std::uint32_t>& rows : batch.rows)
    for (std::size_t member = 0; member < tensor; ++member)
      tokens_.push_back(static_cast<std::uint32_t>((rows.size() + tensor - 1 - member) / tensor));
  if (!needed_) return;
  const auto per_node = static_cast<std::size_t>(inputs.cluster.fabric.ranks_per_node);
  const bool within_node = per_node % tensor == 0;
  const auto exchange = [&](const std::string& direction, bool gather) {
    const ExchangeInputs wanted{"nccl_" + direction,
                                {row_bytes(inputs.model.hidden, PayloadFormat::bf16), false, 0, 1},
                                exchange_timing("nccl_tensor_parallel", direction, within_node,
                                                inputs.cluster.accelerator.name),
                                0,
                                inputs.plan.parallelism.tensor - 1,
                                inputs.keep_flows};
    return make_exchange(paths, group_copies(tokens_, tensor, gather), wanted);
  };
  reduce_ = exchange("reduce_scatter", false);
  gather_ = exchange("all_gather", true);
}

}  // namespace moesim
