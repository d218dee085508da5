// Configurations without golden vectors of the decoders with softmax routing, each against a naive
// double-precision decoder: other sizes, tied embeddings, rope types, windows, biases, dense
// layers.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/unseen_case.h"

namespace moesim {
namespace {

using naive::check_unseen;
using naive::check_unseen_at_once;
using naive::mixtral_case;
using naive::qwen_case;
using naive::Row;
using naive::UnseenCase;
using nlohmann::json;

TEST_CASE("Mixtral with other sizes, a window, tied embeddings and a head size of its own") {
  UnseenCase unseen = mixtral_case();
  check_unseen(unseen);
  unseen.config["sliding_window"] = 4;
  unseen.config["tie_word_embeddings"] = true;
  unseen.config["head_dim"] = 10;
  unseen.attention.window = 4;
  unseen.attention.dim = 10;
  unseen.attention.turning = naive::plain_turning(10, 300);
  unseen.tied = true;
  check_unseen(unseen);
}

TEST_CASE("Mixtral without num_key_value_heads has its class's 8, with null as many as heads") {
  UnseenCase unseen = mixtral_case();
  unseen.config["num_key_value_heads"] = nullptr;
  unseen.attention.kv_heads = 6;
  check_unseen(unseen);
  unseen.config.erase("num_key_value_heads");
  unseen.config["num_attention_heads"] = 16;
  unseen.config["head_dim"] = 4;
  unseen.attention.heads = 16;
  unseen.attention.kv_heads = 8;
  check_unseen(unseen);
}

TEST_CASE("Mixtral with every rope type") {
  const auto with = [](const json& scaling, const naive::Turning& turning) {
    UnseenCase unseen = mixtral_case();
    unseen.config["rope_scaling"] = scaling;
    unseen.attention.turning = turning;
    return unseen;
  };
  check_unseen(with({{"type", "linear"}, {"factor", 4.0}}, naive::linear_turning(4, 300, 4)));
  check_unseen(with({{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}},
                    naive::yarn_turning(4, 300, {4, 16})));
  check_unseen(with({{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 200}},
                    naive::llama3_turning(4, 300, {8, 1, 4, 200})));
  UnseenCase longrope =
      with({{"type", "longrope"}, {"short_factor", {1.0, 2.0}}, {"long_factor", {3.0, 4.0}}},
           naive::longrope_turning(4, 300, {3, 4}, std::sqrt(1 + std::log(8.0) / std::log(8.0))));
  longrope.config["original_max_position_embeddings"] = 8;  // of 64: the factor is 8
  check_unseen_at_once(longrope);
  UnseenCase dynamic =
      with({{"type", "dynamic"}, {"factor", 3.0}}, naive::dynamic_turning(4, 300, 3, 8, 10));
  dynamic.config["max_position_embeddings"] = 8;
  check_unseen_at_once(dynamic);
}

TEST_CASE("Qwen3-MoE with dense layers, biases, a window in all layers and renormalised weights") {
  UnseenCase unseen = qwen_case("qwen3_moe");
  check_unseen(unseen);
  unseen.config.update({{"mlp_only_layers", {1}},
                        {"decoder_sparse_step", 2},  // layers 1 and 3, less layer 1
                        {"norm_topk_prob", true},
                        {"attention_bias", true},
                        {"head_dim", 8},
                        {"use_sliding_window", true},
                        {"sliding_window", 3},
                        {"max_window_layers", 2},
                        {"tie_word_embeddings", true}});
  unseen.dense = {0, 1, 2};
  unseen.moe.route = [](const std::string&, const Row& logits) {
    return naive::softmax_choice(logits, 3, true);
  };
  unseen.attention.input_bias = unseen.attention.output_bias = true;
  unseen.attention.dim = 8;
  unseen.attention.turning = naive::plain_turning(8, 10000);
  unseen.attention.window = 3;
  unseen.tied = true;
  check_unseen(unseen);
}

TEST_CASE("Qwen2-MoE with and without biases, dense layers and windows") {
  UnseenCase unseen = qwen_case("qwen2_moe");
  check_unseen(unseen);
  unseen.config["use_sliding_window"] = true;
  unseen.config["sliding_window"] = 3;
  unseen.config["max_window_layers"] = 2;  // not read
  unseen.windows = {3, 3, 3, 3};
  check_unseen(unseen);
  unseen.config["layer_types"] = {"full_attention", "sliding_attention", "full_attention",
                                  "sliding_attention"};
  unseen.windows = {0, 3, 0, 3};
  unseen.config["qkv_bias"] = false;
  unseen.attention.input_bias = false;
  unseen.config["mlp_only_layers"] = {2};
  unseen.dense = {2};
  check_unseen(unseen);
}

TEST_CASE("OLMoE with grouped heads, renormalised weights and tied embeddings") {
  UnseenCase unseen = qwen_case("olmoe");
  unseen.config.erase("shared_expert_intermediate_size");
  unseen.config.erase("moe_intermediate_size");
  unseen.config.update(
      {{"intermediate_size", 10}, {"norm_topk_prob", true}, {"tie_word_embeddings", true}});
  unseen.attention.input_bias = false;
  unseen.attention.norm = naive::HeadNorm::together;
  unseen.moe.shared.clear();
  unseen.moe.route = [](const std::string&, const Row& logits) {
    return naive::softmax_choice(logits, 3, true);
  };
  unseen.tied = true;
  check_unseen(unseen);
}

TEST_CASE("windows and families that no class has are refused by key") {
  const auto names = [](const UnseenCase& unseen, const json& changes, const char* key) {
    return naive::unseen_refusal(unseen, changes).find(key) != std::string::npos;
  };
  CHECK(names(mixtral_case(), {{"sliding_window", 0}}, "sliding_window"));
  CHECK(names(qwen_case("qwen2_moe"),
              {{"layer_types",
                {"sliding_attention", "full_attention", "full_attention", "full_attention"}}},
              "use_sliding_window"));
  CHECK(names(qwen_case("qwen2_moe"), {{"layer_types", {"full_attention"}}}, "4 layers"));
  CHECK(names(qwen_case("qwen3_moe"),
              {{"layer_types",
                {"sliding_attention", "full_attention", "full_attention", "full_attention"}}},
              "layer_types"));
  CHECK(names(qwen_case("qwen3_moe"), {{"shared_expert_intermediate_size", 8}},
              "shared_expert_intermediate_size"));
}

}  // namespace
}  // namespace moesim
