// Weights, states and activations by stage.
#include "sim/train/training_memory.h"

#include <algorithm>

#include "sim/memory/rank_memory.h"
#include "sim/plan/all_to_all.h"
#include "sim/train/layer_time.h"
#include "sim/train/training_format.h"

namespace moesim {
namespace {

// Elements a token that attention keeps as inputs of its products and of its kernel.
double attention_elements(const AttentionShape& shape, std::int64_t tensor, bool expands_again) {
  const AttentionShape local = tensor_share(shape, tensor);
  const auto heads = static_cast<double>(local.heads);
  if (shape.kind == AttentionKind::none) return 0;
  if (shape.kind == AttentionKind::latent) {
    const double latents = static_cast<double>(shape.q_lora_rank + shape.kv_lora_rank +
                                               shape.qk_rope_head_dim),
                 expanded = heads * static_cast<double>(
                                        2 * (shape.qk_nope_head_dim + shape.qk_rope_head_dim) +
                                        shape.v_head_dim),
                 output = heads * static_cast<double>(shape.v_head_dim);
    return latents + (expands_again ? 0 : expanded) + output;
  }
  const double query = heads * static_cast<double>(shape.head_dim),
               key_value = static_cast<double>(local.kv_heads) *
                           static_cast<double>(shape.head_dim + shape.value_dim());
  return query + key_value + heads * static_cast<double>(shape.value_dim());
}

}  // namespace

RankParameters rank_parameters(const MoeModel& model,
                               const TrainingPlan& plan,
                               const std::vector<LayerSegment>& held) {
  RankParameters sum;
  for (const LayerSegment& segment : held) {
    for (std::size_t layer = segment.first; layer < segment.last; ++layer)
      sum += layer_parameters(model, plan, model.layers[layer]);
    if (segment.embeds) sum += embedding_parameters(model, plan);
    if (segment.heads) sum += head_parameters(model, plan, segment.embeds);
  }
  return sum;
}

double kept_bytes_per_token(const MoeModel& model,
                            const TrainingPlan& plan,
                            const LayerShape& layer,
                            double routed) {
  constexpr double kValue = 2;  // bf16
  const auto hidden = static_cast<double>(model.hidden);
  if (plan.recompute == Recompute::full) return kValue * hidden;
  const bool again = plan.recompute == Recompute::selective;
  const double input = activation_bytes(training_format(plan.precision).precision);
  const auto inward = static_cast<double>(model.matrices() - 1);
  // Of a feed-forward part: what goes into the activation and what comes out of it.
  const auto part = [&](double width) { return width * (kValue * inward + (again ? 0 : input)); };
  const double norm = again ? 0 : input * hidden;
  double bytes = kValue * hidden + norm +
                 kValue * attention_elements(layer.attention, plan.tensor, again) * plan.tensor;
  if (layer.ffn != FfnKind::none) bytes += kValue * hidden + norm;
  bytes += part(static_cast<double>(layer.dense_width));
  if (layer.ffn != FfnKind::moe) return bytes;
  const auto row = static_cast<double>(model.expert_hidden());
  bytes += part(static_cast<double>(model.shared_width));
  // The routing weight is applied before the down projection, so that its output need not be kept.
  bytes += routed * (input * row + part(static_cast<double>(model.expert_width)));
  return bytes;
}

TrainingMemory training_memory(const MoeModel& model,
                               const TrainingPlan& plan,
                               const Accelerator& accelerator,
                               const HeldSegments& held) {
  TrainingMemory memory;
  const RankParameters parameters = rank_parameters(model, plan, held.segments);
  const double all = parameters.all();
  memory.weights = Bytes(kWeightBytes * all);
  memory.gradients = Bytes(kGradientBytes * all);
  memory.optimizer = Bytes(
      kOptimizerBytes * (parameters.dense / plan.data() + parameters.experts / plan.expert_data()) /
      held.copies);
  const auto tokens = static_cast<double>(plan.rank_tokens());
  for (std::size_t i = 0; i < held.segments.size(); ++i) {
    const LayerSegment& segment = held.segments[i];
    double of_token = 0;
    for (std::size_t layer = segment.first; layer < segment.last; ++layer)
      of_token += kept_bytes_per_token(model, plan, model.layers[layer], held.routed);
    if (segment.heads && plan.mtp)
      of_token += kept_bytes_per_token(model, plan, model.mtp_layers.back(), held.routed);
    memory.activations += Bytes(of_token * tokens * held.in_flight[i]);
    // Logits and their gradient in f32, of one micro-batch.
    if (segment.heads)
      memory.activations +=
          Bytes(8 * static_cast<double>(plan.tokens() * model.vocabulary) / plan.tensor);
  }
  memory.runtime = runtime_memory().bytes(accelerator.memory, plan.ranks > 1);
  if (plan.expert == 1) return memory;
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at(plan.all_to_all, "all-to-all");
  memory.exchange_buffers = part.buffer_bytes(
      micro_batch_shape(model, plan, std::min(plan.expert, accelerator.gpus_per_node)));
  return memory;
}

}  // namespace moesim
