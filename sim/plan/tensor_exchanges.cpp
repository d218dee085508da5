// Tensor-parallel exchanges as token copies between the ranks of each group.
#include "sim/plan/tensor_exchanges.h"

namespace moesim {
namespace {

// What the ranks of each group send; `gather` sends the source's tokens, else the destination's.
RowCounts group_rows(const std::vector<std::uint32_t>& tokens, std::size_t tensor, bool gather) {
  RowCounts rows;
  std::vector<std::uint32_t> of_source(tokens.size());
  for (std::size_t source = 0; source < tokens.size(); ++source) {
    const std::size_t first = source / tensor * tensor;
    for (std::size_t destination = first; destination < first + tensor; ++destination)
      of_source[destination] = tokens[gather ? source : destination];
    rows.add_source(of_source);
  }
  return rows;
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
    ExchangeInputs wanted;
    wanted.algorithm = "nccl_" + direction;
    wanted.traffic.legs = {{std::make_shared<RowCounts>(group_rows(tokens_, tensor, gather)),
                            row_bytes(inputs.model.hidden, PayloadFormat::bf16)}};
    wanted.traffic.messages_per_peer = 1;
    wanted.timing = exchange_timing(
        {"nccl_tensor_parallel", direction, within_node, inputs.cluster.accelerator.name, ""});
    wanted.peers = inputs.plan.parallelism.tensor - 1;
    wanted.keep_flows = inputs.keep_flows;
    wanted.keep_shares = inputs.keep_shares;
    return make_exchange(paths, inputs.plan.parallelism.ranks, wanted);
  };
  reduce_ = exchange("reduce_scatter", false);
  gather_ = exchange("all_gather", true);
}

}  // namespace moesim
