// What Qwen3-Next and Qwen3.5 share: most layers are Gated DeltaNets, every few are softmax
// attention with an output gate; mixtures have a shared expert behind a gate of its own.
#pragma once

#include "workloads/forward/architecture.h"
#include "workloads/forward/gated_delta_net.h"
#include "workloads/forward/grouped_query_attention.h"
#include "workloads/forward/moe_config.h"

namespace moesim {

struct QwenHybrid {
  DecoderFrame frame;
  std::vector<bool> is_attention, is_moe;  // [layers]
  GroupedQueryParameters attention;
  GatedDeltaParameters delta;
  MoeParameters moe;
  std::int64_t dense_width = 0;
};

// The keys of both: sizes, attention, DeltaNet, experts, and layer_types or
// full_attention_interval. The caller reads what differs: moe.router, is_moe and dense_width,
// delta.by_key_head.
QwenHybrid read_qwen_hybrid(ConfigReader& config);

// Experts lie each in tensors of its own, or all in mlp.experts.gate_up_proj and down_proj as
// transformers 5 saves them.
Decoder load_qwen_hybrid(const QwenHybrid& model, const Checkpoint& weights);

// The text part of Qwen3.5 and Qwen3.6 mixtures (transformers 5, modeling_qwen3_5_moe.py, commit
// 009d78e6): separate projections into the DeltaNet, a mixture in every layer. Positions of text
// are the same in all three sections of the rotary embedding (mrope), which makes it the plain one.
// Checkpoints with a vision tower keep the text model under "model.language_model.", and their
// outer configuration may say `tied`.
DecoderLoader read_qwen3_5(ConfigReader& config, bool tied);

}  // namespace moesim
