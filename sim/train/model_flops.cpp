// Weights and pairs of a token.
#include "sim/train/model_flops.h"

#include "sim/cost/kernel_work.h"

namespace moesim {
namespace {

// Products of queries with keys and of scores with values: two each pair and dimension. Index heads
// score every pair, attention then has its choice of them; a recurrent layer's state counts as
// the kernel's FLOPs do.
double attention_flops(const AttentionShape& shape, std::int64_t hidden, int sequence) {
  const BatchEntry entry{0, Phase::prefill, sequence, 0};
  const AttentionInputs inputs{shape, hidden, shape.heads, shape.kv_heads, WeightFormat::bf16,
                               "bf16"};
  double flops = 0;
  for (const KernelWork& work : attention_work(inputs, {&entry, 1}))
    if (!work.tiles.exist()) flops += work.flops.value;
  return flops / sequence;
}

// The module: its layer, the product that joins two inputs, and the head once more.
double module_weights(const MoeModel& model) {
  MoeModel module = model;
  module.layers = {model.mtp_layers.back()};
  const ParameterCounts count = count_parameters(module);
  return static_cast<double>(count.active - count.embedding - count.head +
                             model.vocabulary * model.hidden + 2 * model.hidden * model.hidden);
}

}  // namespace

Flops model_flops_per_token(const MoeModel& model, int sequence, bool mtp) {
  const ParameterCounts count = count_parameters(model);
  const bool tied = count.head == 0;
  double weights = static_cast<double>(count.active_without_input_embedding) +
                   (tied ? static_cast<double>(count.embedding) : 0);
  double attention = 0;
  for (const LayerShape& layer : model.layers)
    attention += attention_flops(layer.attention, model.hidden, sequence);
  if (mtp) {
    weights += module_weights(model);
    attention += attention_flops(model.mtp_layers.back().attention, model.hidden, sequence);
  }
  return Flops(6 * weights + 3 * attention);
}

}  // namespace moesim
