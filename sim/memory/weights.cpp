// Bytes of weights on a rank: what tensor parallelism splits, what every rank repeats, and what an
// engine adds when it has loaded them.
#include <algorithm>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, std::int64_t ranks) { return (whole + ranks - 1) / ranks; }

double bytes_of(std::int64_t weights, WeightFormat format) {
  return static_cast<double>(weights) * bytes_per_weight(format);
}

bool served(const ShardingPlan& plan) { return plan.memory.engine != ServingEngine::none; }

// Embedding, head, norms and router are never quantised.
WeightFormat plain_format(const ShardingPlan& plan) {
  return plan.precision.dense == WeightFormat::f32 ? WeightFormat::f32 : WeightFormat::bf16;
}

// Engines keep the latent's projections to heads once more in bf16, to fold them into query and
// output in decode (W_UK and W_UV of vLLM, w_kc and w_vc of SGLang).
std::int64_t folded_weights(const AttentionShape& local) {
  if (local.kind != AttentionKind::latent) return 0;
  return local.kv_lora_rank * local.heads * (local.qk_nope_head_dim + local.v_head_dim);
}

// One layer but its experts.
double layer_bytes(const MoeModel& model, const ShardingPlan& plan, const LayerShape& layer) {
  const Parallelism& ranks = plan.parallelism;
  const AttentionShape local = tensor_share(layer.attention, ranks.tensor);
  const AttentionParameters attention = attention_parameters(local, model.hidden);
  std::int64_t plain = attention.vectors + attention.uncounted + norm_parameters(model, layer) +
                       hyper_connection_parameters(model, layer);
  if (layer.ffn == FfnKind::moe) plain += router_parameters(model);
  double bytes = bytes_of(attention.split + attention.replicated,
                          plan.precision.attention.value_or(plan.precision.dense)) +
                 bytes_of(share(dense_parameters(model, layer), ranks.feed_forward_tensor),
                          plan.precision.dense) +
                 bytes_of(plain, plain_format(plan));
  if (served(plan)) bytes += bytes_of(folded_weights(local), WeightFormat::bf16);
  return bytes;
}

double shared_layer_bytes(const MoeModel& model, const ShardingPlan& plan) {
  return bytes_of(share(shared_expert_parameters(model), plan.parallelism.feed_forward_tensor),
                  plan.precision.dense);
}

// SGLang splits the head over all ranks also where attention is not.
std::int64_t head_ranks(const ShardingPlan& plan) {
  return plan.memory.engine == ServingEngine::sglang ? plan.parallelism.stage_ranks()
                                                     : plan.parallelism.tensor;
}

}  // namespace

Bytes dense_weight_bytes(const MoeModel& model, const ShardingPlan& plan, int stage) {
  const StageLayers layers = stage_layers(model, plan.parallelism, stage);
  std::int64_t plain = 0;
  if (layers.embeds) plain += share(model.vocabulary, plan.parallelism.tensor) * model.hidden;
  if (layers.heads) {
    plain += final_norm_parameters(model) + final_hyper_connection_parameters(model);
    const std::int64_t columns = share(model.vocabulary, head_ranks(plan));
    if (!model.tied_embeddings) {
      plain += columns * (model.hidden + (model.head_bias ? 1 : 0));
    } else if (!layers.embeds) {
      plain += columns * model.hidden;
    }
  }
  double bytes = bytes_of(plain, plain_format(plan));
  for (const LayerShape& layer : layers.of(model)) bytes += layer_bytes(model, plan, layer);
  return Bytes(bytes);
}

Bytes shared_expert_bytes(const MoeModel& model, const ShardingPlan& plan, int stage) {
  const auto layers = stage_layers(model, plan.parallelism, stage).of(model);
  const auto with_experts = std::count_if(
      layers.begin(), layers.end(), [](const auto& layer) { return layer.ffn == FfnKind::moe; });
  return Bytes(shared_layer_bytes(model, plan) * static_cast<double>(with_experts));
}

Bytes expert_bytes(const MoeModel& model, const ShardingPlan& plan) {
  MoeModel local = model;
  local.expert_width = share(model.expert_width, plan.parallelism.expert_tensor);
  if (served(plan) && plan.precision.experts == WeightFormat::mxfp4) {
    const RuntimeMemory& constants = runtime_memory();
    const auto padded = [](std::int64_t side, std::int64_t multiple) {
      return share(side, multiple) * multiple;
    };
    local.expert_width = padded(local.expert_width, constants.mxfp4_width_multiple);
    (model.latent_hidden != 0 ? local.latent_hidden : local.hidden) =
        padded(model.expert_hidden(), constants.mxfp4_hidden_multiple);
  }
  const std::int64_t biases = expert_bias_parameters(local);
  return Bytes(bytes_of(expert_parameters(local) - biases, plan.precision.experts) +
               bytes_of(biases, plain_format(plan)));
}

Bytes mtp_weight_bytes(const MoeModel& model, const ShardingPlan& plan) {
  if (model.mtp_layers.empty()) return Bytes(0);
  // Norms of the two inputs and before the head; a projection of both to the hidden size.
  double bytes = bytes_of(3 * model.hidden + 2 * model.hidden * model.hidden, plain_format(plan));
  const std::int64_t slots = share(model.experts + plan.redundant_experts, plan.parallelism.expert);
  for (const LayerShape& layer : model.mtp_layers) {
    bytes += layer_bytes(model, plan, layer);
    if (layer.ffn != FfnKind::moe) continue;
    bytes += shared_layer_bytes(model, plan) +
             static_cast<double>(slots) * expert_bytes(model, plan).value;
  }
  return Bytes(bytes);
}

Bytes checkpoint_bytes(const MoeModel& model, const Precision& precision) {
  ShardingPlan plan;
  plan.precision = precision;
  const double experts = static_cast<double>(model.moe_layers().size()) *
                         static_cast<double>(model.experts) * expert_bytes(model, plan).value;
  double bytes = dense_weight_bytes(model, plan).value + shared_expert_bytes(model, plan).value +
                 experts + mtp_weight_bytes(model, plan).value;
  if (!model.mtp_layers.empty() && model.mtp_layers.back().attention.kind == AttentionKind::latent)
    bytes += bytes_of(2 * model.vocabulary * model.hidden, plain_format(plan));
  return Bytes(bytes);
}

}  // namespace moesim
