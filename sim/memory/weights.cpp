// Bytes of weights on a rank: what tensor parallelism splits, what every rank repeats, and the
// experts its slots hold.
#include <algorithm>
#include <set>
#include <span>

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

// Adds the slots of one layer's placement, which stands for `layers` model layers.
void count_layer(const Placement& placement, std::int64_t layers, std::span<SlotCount> by_rank) {
  std::set<LogicalExpert> seen;
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
    if (placement.replica_of[slot] == kNoExpert) continue;
    SlotCount& rank = by_rank[index(placement.rank_of[slot])];
    const bool first = seen.insert(placement.replica_of[slot]).second;
    (first ? rank.first : rank.redundant) += layers;
  }
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
  std::vector<SlotCount> count(static_cast<std::size_t>(plan.parallelism.ranks));
  const auto ranks = static_cast<std::size_t>(plan.parallelism.expert);
  for (std::size_t first = 0; first < count.size(); first += ranks) {
    if (first > 0 && plan.group_placement.empty()) {  // as the group before
      std::copy_n(&count[first - ranks], ranks, &count[first]);
      continue;
    }
    for (std::size_t i = 0; i < plan.placement.size(); ++i)
      count_layer(plan.placement_of(i, first / ranks), layers_replaying(model, plan, i),
                  std::span(count).subspan(first, ranks));
  }
  return count;
}

Bytes runtime_bytes() {
  const JsonNode file = read_json_file(data_path("topologies/calibration/memory.json"));
  return file.at("driver").as_bytes() + file.at("context_and_communicators").as_bytes() +
         file.at("graphs").as_bytes();
}

}  // namespace moesim
