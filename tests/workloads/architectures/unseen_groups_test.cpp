// Configurations without golden vectors of the decoders with sigmoid or grouped routing, each
// against a naive double-precision decoder: groups, biases, shared experts, latent attention with
// and without compressed queries, YaRN.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/unseen_case.h"

namespace moesim {
namespace {

using naive::kUnseenTokens;
using naive::mixtral_case;
using naive::qwen_case;
using naive::Row;
using naive::run_unseen;
using naive::UnseenCase;
using nlohmann::json;

// Sigmoid scores, chosen by score plus bias within groups; weights without the bias.
naive::Choice sigmoid_choice(const Row& logits,
                             const Row& bias,
                             const naive::Groups& groups,
                             bool renormalise,
                             double scale) {
  Row scores, judged;
  for (std::size_t expert = 0; expert < logits.size(); ++expert) {
    scores.push_back(naive::logistic(logits[expert]));
    judged.push_back(scores.back() + bias[expert]);
  }
  naive::Choice choice;
  double total = 1e-20;
  for (const std::size_t expert : naive::grouped_choice(judged, 3, groups)) {
    choice.emplace_back(expert, scores[expert]);
    total += scores[expert];
  }
  for (auto& [expert, weight] : choice) weight *= scale / (renormalise ? total : 1);
  return choice;
}

UnseenCase glm_case() {
  UnseenCase unseen = qwen_case("glm4_moe");
  for (const char* key : {"shared_expert_intermediate_size", "num_experts"})
    unseen.config.erase(key);
  unseen.config.update({{"n_routed_experts", 8},
                        {"n_shared_experts", 2},
                        {"n_group", 4},
                        {"topk_group", 2},
                        {"routed_scaling_factor", 2.5},
                        {"norm_topk_prob", false},
                        {"first_k_dense_replace", 2},
                        {"use_qk_norm", true},
                        {"attention_bias", true},
                        {"head_dim", 12}});
  unseen.attention.dim = 12;
  unseen.attention.turning = naive::plain_turning(6, 10000);  // half of a head
  unseen.attention.norm = naive::HeadNorm::each;
  unseen.dense = {0, 1};
  unseen.moe.experts = 8;
  unseen.moe.shared = "shared_experts";
  unseen.moe.shared_width = 20;
  unseen.moe.shared_gate = false;
  return unseen;
}

void check_glm(UnseenCase unseen) {
  naive::TinyModel model(unseen.config);
  unseen.moe.route = [&model](const std::string& prefix, const Row& logits) {
    const Row bias = model.vector(prefix + "gate.e_score_correction_bias", 8, 0, 0.2);
    return sigmoid_choice(logits, bias, {4, 2}, false, 2.5);
  };
  const naive::Result expected = run_unseen(model, unseen);
  check_against(model, expected, kUnseenTokens);
}

TEST_CASE("GLM-4.5 with groups, two shared experts, head norms and plain weights") {
  check_glm(glm_case());
}

TEST_CASE("GLM-4.5 takes the rotated share from inside rope_parameters") {
  UnseenCase unseen = glm_case();
  unseen.config["rope_parameters"] = {
      {"rope_type", "default"}, {"rope_theta", 500.0}, {"partial_rotary_factor", 0.34}};
  unseen.attention.turning = naive::plain_turning(4, 500);  // 0.34 * 12, rounded down
  check_glm(unseen);
}

TEST_CASE("MiniMax-M2 with a rotated share and other sizes") {
  UnseenCase unseen = mixtral_case();
  unseen.config.update({{"model_type", "minimax_m2"},
                        {"head_dim", 8},
                        {"rotary_dim", 4},
                        {"attn_type_list", {1, 1, 1}},
                        {"use_mtp", true}});
  unseen.attention.dim = 8;
  unseen.attention.norm = naive::HeadNorm::together;
  unseen.attention.epsilon = 1e-3;
  naive::TinyModel model(unseen.config);
  unseen.moe.route = [&model](const std::string& prefix, const Row& logits) {
    return sigmoid_choice(logits, model.vector(prefix + "e_score_correction_bias", 5, 0, 0.2),
                          {1, 1}, true, 1);
  };
  const naive::Result expected = run_unseen(model, unseen);
  check_against(model, expected, kUnseenTokens);
}

struct LatentCase {
  json config;
  naive::LatentPlan attention;
  naive::MixturePlan moe;
  std::function<naive::Choice(const Row& bias, const Row& logits)> choose;
  std::int64_t dense = 1;  // leading layers
  bool tied = false, correction = true;
};

LatentCase latent_case(const std::string& type) {
  LatentCase unseen;
  unseen.config = {{"model_type", type},
                   {"vocab_size", 40},
                   {"hidden_size", 24},
                   {"num_hidden_layers", 3},
                   {"num_attention_heads", 3},
                   {"num_key_value_heads", 3},
                   {"intermediate_size", 18},
                   {"moe_intermediate_size", 10},
                   {"n_routed_experts", 8},
                   {"num_experts_per_tok", 3},
                   {"n_shared_experts", 1},
                   {"n_group", 4},
                   {"topk_group", 2},
                   {"routed_scaling_factor", 2.5},
                   {"first_k_dense_replace", 1},
                   {"q_lora_rank", nullptr},
                   {"kv_lora_rank", 10},
                   {"qk_nope_head_dim", 6},
                   {"qk_rope_head_dim", 4},
                   {"v_head_dim", 5},
                   {"rms_norm_eps", 1e-4},
                   {"max_position_embeddings", 64},
                   {"norm_topk_prob", true}};
  naive::LatentPlan& attention = unseen.attention;
  attention.heads = 3;
  attention.rank = 10;
  attention.plain = 6;
  attention.value = 5;
  attention.turned = 4;
  attention.turning = naive::plain_turning(4, 10000);
  unseen.moe.experts = 8;
  unseen.moe.width = 10;
  unseen.moe.shared = "shared_experts";
  unseen.moe.shared_width = 10;
  unseen.choose = [](const Row& bias, const Row& logits) {
    return sigmoid_choice(logits, bias, {4, 2}, true, 2.5);
  };
  return unseen;
}

void check_latent(const LatentCase& unseen) {
  naive::TinyModel model(unseen.config);
  naive::MixturePlan moe = unseen.moe;
  moe.route = [&](const std::string& prefix, const Row& logits) {
    Row bias;
    if (unseen.correction)
      bias = model.vector(prefix + "gate.e_score_correction_bias", moe.experts, 0, 0.2);
    return unseen.choose(bias, logits);
  };
  naive::DecoderPlan plan;
  plan.layers = 3;
  plan.hidden = 24;
  plan.norm = naive::rms_of(model, 1e-4);
  plan.tied = unseen.tied;
  plan.mix = [&](std::size_t, const std::string& prefix, const naive::Matrix2& x) {
    return naive::latent_attention(model, prefix + "self_attn.", unseen.attention, x);
  };
  plan.feed = [&](std::size_t layer, const std::string& prefix, const Row& x,
                  std::vector<std::uint16_t>& experts) {
    if (static_cast<std::int64_t>(layer) < unseen.dense)
      return naive::gated(model, prefix + "mlp.", moe.names, x, 18, naive::silu_times);
    return naive::mixture(model, prefix + "mlp.", moe, x, experts);
  };
  const naive::Result expected = naive::run_naive(model, plan, kUnseenTokens);
  check_against(model, expected, kUnseenTokens);
}

TEST_CASE("DeepSeek-V3 and Kimi-K2 without compressed queries, and with biases and tied ends") {
  for (const char* type : {"deepseek_v3", "kimi_k2"}) {
    LatentCase unseen = latent_case(type);
    check_latent(unseen);
    unseen.config.update({{"q_lora_rank", 14},
                          {"attention_bias", true},
                          {"rope_interleave", false},
                          {"tie_word_embeddings", true},
                          {"first_k_dense_replace", 0}});
    unseen.attention.query_rank = 14;
    unseen.attention.bias = true;
    unseen.attention.neighbours = false;
    unseen.tied = true;
    unseen.dense = 0;
    check_latent(unseen);
  }
}

TEST_CASE("DeepSeek-V3 without shared experts, renormalisation and groups") {
  LatentCase unseen = latent_case("deepseek_v3");
  unseen.config.update({{"n_shared_experts", 0},
                        {"norm_topk_prob", false},
                        {"n_group", nullptr},
                        {"topk_group", nullptr},
                        {"n_routed_experts", 7}});
  unseen.moe.shared.clear();
  unseen.moe.experts = 7;
  unseen.choose = [](const Row& bias, const Row& logits) {
    return sigmoid_choice(logits, bias, {1, 1}, false, 2.5);
  };
  check_latent(unseen);
}

TEST_CASE("DeepSeek-V3 without its keys takes its class's values") {
  LatentCase unseen = latent_case("deepseek_v3");
  for (const char* key : {"n_group", "topk_group", "n_shared_experts", "routed_scaling_factor"})
    unseen.config.erase(key);
  unseen.config["n_routed_experts"] = 16;  // 8 groups of 2, of which 4 are kept
  unseen.moe.experts = 16;
  unseen.choose = [](const Row& bias, const Row& logits) {
    return sigmoid_choice(logits, bias, {8, 4}, true, 2.5);
  };
  check_latent(unseen);
}

json yarn_of_latent(double mscale) {
  return {{"type", "yarn"},
          {"factor", 8.0},
          {"mscale", mscale},
          {"mscale_all_dim", mscale},
          {"beta_fast", 4.0},
          {"beta_slow", 1.0},
          {"original_max_position_embeddings", 16}};
}

TEST_CASE("DeepSeek-V3 scales its scores under YaRN, DeepSeek-V2's class does not") {
  LatentCase unseen = latent_case("deepseek_v3");
  unseen.config["rope_scaling"] = yarn_of_latent(0.7);
  unseen.attention.turning = naive::yarn_turning(4, 10000, {8, 16, 4, 1});
  unseen.attention.turning.amplitude = 1;  // mscale over the same mscale
  unseen.attention.score_factor = std::pow(0.07 * std::log(8.0) + 1, 2);
  check_latent(unseen);
  unseen.config.update({{"model_type", "deepseek_v2"}, {"norm_topk_prob", false}});
  unseen.config["topk_method"] = "greedy";
  unseen.attention.score_factor = 1;
  unseen.correction = false;
  unseen.choose = [](const Row&, const Row& logits) {
    return naive::softmax_choice(logits, 3, false, 2.5);
  };
  check_latent(unseen);
}

TEST_CASE("DeepSeek-V2 keeps the groups with the largest expert, or looks at none") {
  LatentCase unseen = latent_case("deepseek_v2");
  unseen.correction = false;
  unseen.config.update({{"norm_topk_prob", false},
                        {"topk_method", "group_limited_greedy"},
                        {"n_shared_experts", 2},
                        {"q_lora_rank", 12}});
  unseen.attention.query_rank = 12;
  unseen.moe.shared_width = 20;
  unseen.choose = [](const Row&, const Row& logits) {
    const Row shares = naive::softmax_of(logits);
    naive::Choice choice;
    for (const std::size_t expert : naive::grouped_choice(shares, 3, {4, 2, 1}))
      choice.emplace_back(expert, 2.5 * shares[expert]);
    return choice;
  };
  check_latent(unseen);
  unseen.config.update({{"n_group", nullptr}, {"topk_group", nullptr}, {"topk_method", "greedy"}});
  unseen.choose = [](const Row&, const Row& logits) {
    return naive::softmax_choice(logits, 3, false, 2.5);
  };
  check_latent(unseen);
}

TEST_CASE("groups and families that no class has are refused by key") {
  const auto names = [](const UnseenCase& unseen, const json& changes, const char* key) {
    return naive::unseen_refusal(unseen, changes).find(key) != std::string::npos;
  };
  UnseenCase minimax = mixtral_case();
  minimax.config["model_type"] = "minimax_m2";
  minimax.config["head_dim"] = 8;
  CHECK(names(minimax, {{"attn_type_list", {1, 0, 1}}}, "attn_type_list"));
  CHECK(names(glm_case(), {{"scoring_func", "softmax"}}, "scoring_func"));
  CHECK(names(glm_case(), {{"n_group", 3}}, "n_group"));
  UnseenCase latent;
  latent.config = latent_case("deepseek_v2").config;
  CHECK(names(latent, {{"topk_method", "noaux_tc"}}, "topk_method"));
  CHECK(names(latent, {{"mlp_bias", true}}, "mlp_bias"));
  latent.config = latent_case("kimi_k2").config;
  CHECK(names(latent, {{"moe_layer_freq", 2}}, "moe_layer_freq"));
  CHECK(names(latent, {{"qk_rope_head_dim", 3}}, "qk_rope_head_dim"));
}

}  // namespace
}  // namespace moesim
