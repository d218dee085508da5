// Parts of a layer over TP and EP.
#include "sim/train/rank_parameters.h"

namespace moesim {
namespace {

double table(const MoeModel& model, const TrainingPlan& plan) {
  return static_cast<double>(model.vocabulary * model.hidden) / plan.tensor;
}

}  // namespace

RankParameters layer_parameters(const MoeModel& model,
                                const TrainingPlan& plan,
                                const LayerShape& layer) {
  const AttentionParameters attention = attention_parameters(layer.attention, model.hidden);
  const auto tensor = static_cast<double>(plan.tensor);
  RankParameters sum;
  sum.dense =
      static_cast<double>(attention.split) / tensor +
      static_cast<double>(attention.replicated + attention.vectors + norm_parameters(model, layer) +
                          hyper_connection_parameters(model, layer)) +
      static_cast<double>(dense_parameters(model, layer)) / tensor;
  if (layer.ffn != FfnKind::moe) return sum;
  sum.dense += static_cast<double>(router_parameters(model)) +
               static_cast<double>(shared_expert_parameters(model)) / tensor;
  sum.experts = static_cast<double>(model.experts * expert_parameters(model)) / plan.expert;
  return sum;
}

RankParameters embedding_parameters(const MoeModel& model, const TrainingPlan& plan) {
  return {table(model, plan), 0};
}

RankParameters head_parameters(const MoeModel& model,
                               const TrainingPlan& plan,
                               bool beside_embedding) {
  RankParameters sum;
  sum.dense = static_cast<double>(final_norm_parameters(model));
  if (!model.tied_embeddings || !beside_embedding) sum.dense += table(model, plan);
  if (!plan.mtp) return sum;
  sum += layer_parameters(model, plan, model.mtp_layers.back());
  sum.dense += 2.0 * static_cast<double>(model.hidden * model.hidden) + table(model, plan);
  return sum;
}

}  // namespace moesim
