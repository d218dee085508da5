// Configurations that no golden vectors exist for, each with the naive decoder it should be.
#pragma once

#include "tests/workloads/architectures/naive_decoder.h"

namespace moesim::naive {

using nlohmann::json;

inline const std::vector<std::int32_t> kUnseenTokens{5, 39, 0, 17, 33, 2, 28, 9, 30, 11};

// A configuration and the decoder it should be.
struct UnseenCase {
  json config;
  AttentionPlan attention;
  std::vector<std::int64_t> windows;  // by layer; empty: attention.window
  MixturePlan moe;
  std::vector<std::int64_t> dense;  // layers
  std::int64_t dense_width = 0;
  bool tied = false;
  std::string block = "mlp.";
};

inline Result run_unseen(TinyModel& model, const UnseenCase& unseen) {
  DecoderPlan plan;
  plan.layers = unseen.config.at("num_hidden_layers").get<std::size_t>();
  plan.hidden = model.size("hidden_size");
  plan.norm = rms_of(model, unseen.config.at("rms_norm_eps").get<double>());
  plan.tied = unseen.tied;
  plan.mix = [&](std::size_t layer, const std::string& prefix, const Matrix2& x) {
    AttentionPlan attention = unseen.attention;
    if (!unseen.windows.empty()) attention.window = unseen.windows[layer];
    return grouped_attention(model, prefix + "self_attn.", attention, x);
  };
  plan.feed = [&](std::size_t layer, const std::string& prefix, const Row& x,
                  std::vector<std::uint16_t>& experts) {
    for (const std::int64_t dense : unseen.dense)
      if (dense == static_cast<std::int64_t>(layer))
        return gated(model, prefix + unseen.block, unseen.moe.names, x, unseen.dense_width,
                     silu_times);
    return mixture(model, prefix + unseen.block, unseen.moe, x, experts);
  };
  return run_naive(model, plan, kUnseenTokens);
}

inline void check_unseen(const UnseenCase& unseen) {
  TinyModel model(unseen.config);
  const Result expected = run_unseen(model, unseen);
  check_against(model, expected, kUnseenTokens);
}

// Where decoding token by token rightly differs: frequencies that follow the length of a call.
inline void check_unseen_at_once(const UnseenCase& unseen) {
  TinyModel model(unseen.config);
  const Result expected = run_unseen(model, unseen);
  const test::TemporaryFolder folder;
  model.write(folder.path());
  const ForwardOutput output = run_tokens(ForwardModel(folder.path()), kUnseenTokens);
  CHECK(largest_difference(output.logits, expected.logits) < 1e-4);
}

inline UnseenCase mixtral_case() {
  UnseenCase unseen;
  unseen.config = {
      {"model_type", "mixtral"},       {"vocab_size", 40},         {"hidden_size", 24},
      {"num_hidden_layers", 3},        {"num_attention_heads", 6}, {"num_key_value_heads", 2},
      {"intermediate_size", 14},       {"num_local_experts", 5},   {"num_experts_per_tok", 3},
      {"max_position_embeddings", 64}, {"rms_norm_eps", 1e-3},     {"rope_theta", 300.0}};
  unseen.attention.heads = 6;
  unseen.attention.kv_heads = 2;
  unseen.attention.dim = 4;
  unseen.attention.turning = plain_turning(4, 300);
  unseen.moe.experts = 5;
  unseen.moe.width = 14;
  unseen.moe.names = {"w1", "w3", "w2"};
  unseen.moe.route = [](const std::string&, const Row& logits) {
    return softmax_choice(logits, 3, true);
  };
  unseen.block = "block_sparse_moe.";
  return unseen;
}

inline UnseenCase qwen_case(const std::string& type) {
  UnseenCase unseen;
  unseen.config = {{"model_type", type},       {"vocab_size", 40},
                   {"hidden_size", 24},        {"num_hidden_layers", 4},
                   {"num_attention_heads", 4}, {"num_key_value_heads", 2},
                   {"intermediate_size", 18},  {"moe_intermediate_size", 10},
                   {"num_experts", 7},         {"num_experts_per_tok", 3},
                   {"rms_norm_eps", 1e-5},     {"max_position_embeddings", 64}};
  unseen.attention.heads = 4;
  unseen.attention.kv_heads = 2;
  unseen.attention.dim = 6;
  unseen.attention.turning = plain_turning(6, 10000);
  unseen.attention.epsilon = 1e-5;
  unseen.moe.experts = 7;
  unseen.moe.width = 10;
  unseen.moe.route = [](const std::string&, const Row& logits) {
    return softmax_choice(logits, 3, false);
  };
  unseen.dense_width = 18;
  if (type == "qwen3_moe") {
    unseen.attention.norm = HeadNorm::each;
  } else {
    unseen.config["shared_expert_intermediate_size"] = 8;
    unseen.attention.input_bias = true;
    unseen.moe.shared = "shared_expert";
    unseen.moe.shared_width = 8;
    unseen.moe.shared_gate = true;
  }
  return unseen;
}

inline std::string unseen_refusal(UnseenCase unseen, const json& changes) {
  unseen.config.merge_patch(changes);
  TinyModel model(unseen.config);
  const test::TemporaryFolder folder;
  model.write(folder.path());
  return input_error_of([&] { ForwardModel loaded(folder.path()); });
}

}  // namespace moesim::naive
