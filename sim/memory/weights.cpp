// Bytes of weights on a rank: what tensor parallelism splits, what every rank repeats, and the
// experts its slots hold.
#include <set>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, int ranks) { return (whole + ranks - 1) / ranks; }

// Embedding, head, norms and router are never quantised.
double plain_bytes(const ShardingPlan& plan) {
  return bytes_per_weight(plan.precision.dense == WeightFormat::f32 ? WeightFormat::f32
                                                                    : WeightFormat::bf16);
}

}  // namespace

Bytes dense_weight_bytes(const MoeModel& model, const ShardingPlan& plan) {
  const int tensor = plan.parallelism.tensor;
  const std::int64_t columns = share(model.vocabulary, tensor);
  std::int64_t matrices = 0;
  std::int64_t plain = final_norm_parameters(model) + final_hyper_connection_parameters(model) +
                       columns * model.hidden;
  if (!model.tied_embeddings) plain += columns * (model.hidden + (model.head_bias ? 1 : 0));
  for (const LayerShape& layer : model.layers) {
    const AttentionParameters attention =
        attention_parameters(tensor_share(layer.attention, tensor), model.hidden);
    matrices += attention.split + attention.replicated + dense_parameters(model, layer);
    plain += attention.vectors + attention.uncounted + norm_parameters(model, layer) +
             hyper_connection_parameters(model, layer);
    if (layer.ffn == FfnKind::moe) plain += router_parameters(model);
  }
  return Bytes(static_cast<double>(matrices) * bytes_per_weight(plan.precision.dense) +
               static_cast<double>(plain) * plain_bytes(plan));
}

Bytes shared_expert_bytes(const MoeModel& model, const ShardingPlan& plan) {
  const auto weights = static_cast<double>(shared_expert_parameters(model));
  return Bytes(weights * static_cast<double>(model.moe_layers().size()) *
               bytes_per_weight(plan.precision.dense));
}

Bytes expert_bytes(const MoeModel& model, const ShardingPlan& plan) {
  return Bytes(static_cast<double>(expert_parameters(model)) *
               bytes_per_weight(plan.precision.experts));
}

std::vector<SlotCount> count_slots(const MoeModel& model, const ShardingPlan& plan) {
  if (plan.placement.empty()) throw CheckError("the memory ledger needs a plan with a placement");
  std::vector<SlotCount> count(static_cast<std::size_t>(plan.parallelism.expert));
  const std::size_t moe_layers = model.moe_layers().size();
  for (std::size_t i = 0; i < plan.placement.size(); ++i) {
    // Model MoE layer j uses placement j % size, so placement i stands for this many layers.
    const auto repeats = static_cast<std::int64_t>((moe_layers + plan.placement.size() - 1 - i) /
                                                   plan.placement.size());
    std::set<LogicalExpert> seen;
    const Placement& placement = plan.placement[i];
    for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
      SlotCount& rank = count.at(index(placement.rank_of[slot]));
      const bool first = seen.insert(placement.replica_of[slot]).second;
      (first ? rank.first : rank.redundant) += repeats;
    }
  }
  return count;
}

Bytes runtime_bytes() {
  const JsonNode file = read_json_file(data_path("topologies/calibration/memory.json"));
  return file.at("driver").as_bytes() + file.at("context_and_communicators").as_bytes() +
         file.at("graphs").as_bytes();
}

}  // namespace moesim
