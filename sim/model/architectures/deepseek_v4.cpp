// DeepSeek-V4: compressed attention over one key-value head, grouped output projection,
// hyper-connections (DeepSeek-V4 report, arXiv 2606.19348; deepseek-ai's inference/model.py). The
// first num_hash_layers choose experts by a table of token ids, an integer buffer; the recorded
// counts give them the correction bias that the table replaces, and so do ours.
#include "sim/model/architectures.h"

namespace moesim {
namespace {

AttentionShape window_shape(const JsonNode& config) {
  AttentionShape shape;
  shape.kind = AttentionKind::compressed;
  shape.heads = count_at(config, "num_attention_heads");
  shape.kv_heads = count_or(config, "num_key_value_heads", 1);
  refuse_if(config, "num_key_value_heads", shape.kv_heads != 1, "only 1 is implemented");
  shape.head_dim = shape.v_head_dim = count_at(config, "head_dim");
  shape.q_lora_rank = count_at(config, "q_lora_rank");
  shape.sliding_window = count_at(config, "sliding_window");
  shape.output_groups = count_at(config, "o_groups");
  shape.output_lora_rank = count_at(config, "o_lora_rank");
  shape.sinks = true;
  refuse_if(config, "o_groups", shape.heads % shape.output_groups != 0,
            "must divide num_attention_heads");
  refuse_if(config, "attention_bias", flag_or(config, "attention_bias", false),
            "true is not implemented");
  return shape;
}

// The list may go on for the layers of multi-token prediction, which are not built.
void set_ratios(const JsonNode& config, MoeModel& model) {
  const JsonNode list = config.at("compress_ratios");
  const auto ratios = list.items();
  if (ratios.size() < model.layers.size()) {
    list.fail("must have at least num_hidden_layers entries");
  }
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    AttentionShape& shape = model.layers[i].attention;
    shape.compress_ratio = ratios[i].as_int(0, 1 << 20);
    if (shape.compress_ratio != 0 && shape.compress_ratio != 4 && shape.compress_ratio != 128) {
      ratios[i].fail("only 0, 4 and 128 are implemented");
    }
    if (shape.compress_ratio != 4) continue;
    shape.index_heads = count_at(config, "index_n_heads");
    shape.index_head_dim = count_at(config, "index_head_dim");
    shape.index_topk = count_at(config, "index_topk");
  }
}

void read_v4(const JsonNode& config, MoeModel& model) {
  set_layers(config, window_shape(config), model);
  set_ratios(config, model);
  set_experts(config, "n_routed_experts", "moe_intermediate_size", model);
  set_shared_experts(config, model);
  model.correction_bias = true;
  model.residual_streams = config.at("hc_mult").as_int(1, 64);
  if (const auto type = config.find("expert_dtype")) {
    const bool small = type->as_choice({"fp4", "fp8"}, "expert weight type") == "fp4";
    model.expert_format = small ? WeightFormat::mxfp4 : WeightFormat::fp8;
  }
}

const Registered<ArchitectureReader> registered{"deepseek_v4", "DeepSeek-V4", {read_v4}};

}  // namespace
}  // namespace moesim
