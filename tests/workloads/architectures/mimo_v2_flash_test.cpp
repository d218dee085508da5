// MiMo-V2-Flash against plain loops written from the model's own class.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/tiny_checkpoint.h"

namespace moesim {
namespace {

using naive::TinyCheckpoint;
using naive::Vector;

constexpr std::size_t kHidden = 10, kLayers = 3, kExperts = 6, kChosen = 2, kWidth = 5, kDense = 8;
constexpr std::size_t kWindow = 3;
constexpr double kEpsilon = 1e-5, kValueScale = 0.707;
const std::vector<std::int32_t> kTokens{3, 19, 0, 7, 7, 15, 2, 11, 18, 4};

// Layer 0 has full attention and a dense part; the others windows, sinks and mixtures.
struct Kind {
  std::size_t heads, key_heads, key_dim, value_dim, rotated;
  double theta;
  bool windowed;
};
// int(12 * 0.334) = 4 and int(8 * 0.334) = 2 rotated dimensions.
constexpr Kind kFull{4, 1, 12, 6, 4, 50000, false}, kSliding{6, 2, 8, 4, 2, 100, true};
const Kind& kind_of(std::size_t layer) { return layer == 0 ? kFull : kSliding; }

nlohmann::json tiny_config() {
  return {{"model_type", "mimo_v2_flash"},
          {"vocab_size", 20},
          {"hidden_size", kHidden},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kFull.heads},
          {"num_key_value_heads", kFull.key_heads},
          {"head_dim", kFull.key_dim},
          {"v_head_dim", kFull.value_dim},
          {"swa_num_attention_heads", kSliding.heads},
          {"swa_num_key_value_heads", kSliding.key_heads},
          {"swa_head_dim", kSliding.key_dim},
          {"swa_v_head_dim", kSliding.value_dim},
          {"rope_theta", kFull.theta},
          {"swa_rope_theta", kSliding.theta},
          {"partial_rotary_factor", 0.334},
          {"sliding_window", kWindow},
          {"hybrid_layer_pattern", {0, 1, 1}},
          {"moe_layer_freq", {0, 1, 1}},
          {"intermediate_size", kDense},
          {"moe_intermediate_size", kWidth},
          {"n_routed_experts", kExperts},
          {"num_experts_per_tok", kChosen},
          {"norm_topk_prob", true},
          {"scoring_func", "sigmoid"},
          {"topk_method", "noaux_tc"},
          {"routed_scaling_factor", nullptr},
          {"layernorm_epsilon", kEpsilon},
          {"attention_value_scale", kValueScale},
          {"add_swa_attention_sink_bias", true},
          {"add_full_attention_sink_bias", false}};
}

TinyCheckpoint tiny_mimo() {
  TinyCheckpoint c;
  c.config = tiny_config();
  c.add("model.embed_tokens.weight", {20, kHidden}, 1);
  c.add_matrix("lm_head.weight", 20, kHidden);
  c.add_norm("model.norm.weight", kHidden);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    const Kind& kind = kind_of(layer);
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    c.add_norm(prefix + "input_layernorm.weight", kHidden);
    c.add_norm(prefix + "post_attention_layernorm.weight", kHidden);
    c.add_matrix(prefix + "self_attn.q_proj.weight", kind.heads * kind.key_dim, kHidden);
    c.add_matrix(prefix + "self_attn.k_proj.weight", kind.key_heads * kind.key_dim, kHidden);
    c.add_matrix(prefix + "self_attn.v_proj.weight", kind.key_heads * kind.value_dim, kHidden);
    c.add_matrix(prefix + "self_attn.o_proj.weight", kHidden, kind.heads * kind.value_dim);
    if (layer == 0) {
      c.add_network(prefix + "mlp.", kHidden, kDense);
      continue;
    }
    c.add(prefix + "self_attn.attention_sink_bias", {static_cast<std::int64_t>(kind.heads)}, 1);
    c.add_matrix(prefix + "mlp.gate.weight", kExperts, kHidden);
    c.add(prefix + "mlp.gate.e_score_correction_bias", {kExperts}, 0.3);
    for (std::size_t expert = 0; expert < kExperts; ++expert)
      c.add_network(prefix + "mlp.experts." + std::to_string(expert) + ".", kHidden, kWidth);
  }
  return c;
}

naive::Matrix mix(const TinyCheckpoint& c, std::size_t layer, const naive::Matrix& x) {
  const Kind& kind = kind_of(layer);
  const std::string prefix = "model.layers." + std::to_string(layer) + ".self_attn.";
  naive::Matrix joined(x.size()), out;
  for (std::size_t head = 0; head < kind.heads; ++head) {
    const std::size_t shared = head / (kind.heads / kind.key_heads);
    naive::Matrix q, k, v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      q.push_back(
          naive::part(c.times(prefix + "q_proj.weight", x[t]), head * kind.key_dim, kind.key_dim));
      k.push_back(naive::part(c.times(prefix + "k_proj.weight", x[t]), shared * kind.key_dim,
                              kind.key_dim));
      v.push_back(naive::part(c.times(prefix + "v_proj.weight", x[t]), shared * kind.value_dim,
                              kind.value_dim));
      naive::rotate_halves(q[t], kind.rotated, static_cast<double>(t), kind.theta);
      naive::rotate_halves(k[t], kind.rotated, static_cast<double>(t), kind.theta);
      for (double& value : q[t]) value /= std::sqrt(static_cast<double>(kind.key_dim));
      for (double& value : v[t]) value *= kValueScale;
    }
    const double sink = kind.windowed ? c.vector(prefix + "attention_sink_bias")[head] : -INFINITY;
    const naive::Matrix mixed = naive::attend(
        q, k, v,
        [&](std::size_t query, std::size_t key) { return !kind.windowed || query - key < kWindow; },
        sink);
    for (std::size_t t = 0; t < x.size(); ++t)
      joined[t].insert(joined[t].end(), mixed[t].begin(), mixed[t].end());
  }
  for (const Vector& row : joined) out.push_back(c.times(prefix + "o_proj.weight", row));
  return out;
}

Vector feed(const TinyCheckpoint& c, std::size_t layer, const Vector& x) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".mlp.";
  if (layer == 0) return naive::gated_network(c, prefix, x);
  Vector scores = c.times(prefix + "gate.weight", x), judged;
  for (double& score : scores) score = naive::sigmoid(score);
  judged = scores;
  naive::add_to(judged, c.vector(prefix + "gate.e_score_correction_bias"));
  double sum = 0;
  for (const std::size_t expert : naive::largest(judged, kChosen)) sum += scores[expert];
  Vector y(kHidden, 0.0);
  for (const std::size_t expert : naive::largest(judged, kChosen))
    naive::add_to(y, naive::gated_network(c, prefix + "experts." + std::to_string(expert) + ".", x),
                  scores[expert] / sum);
  return y;
}

std::vector<float> expected_logits(const TinyCheckpoint& c) {
  const naive::Model model{
      c, kEpsilon, kLayers,
      [&](std::size_t layer, const naive::Matrix& x) { return mix(c, layer, x); },
      [&](std::size_t layer, const Vector& x) { return feed(c, layer, x); }};
  return model.logits(kTokens);
}

TEST_CASE("MiMo-V2-Flash agrees with plain loops") {
  const TinyCheckpoint checkpoint = tiny_mimo();
  CHECK(naive::worst_difference(checkpoint, kTokens, expected_logits(checkpoint)) < 2e-5);
}

TEST_CASE("MiMo-V2-Flash in transformers 5's words and tensors is the same") {
  TinyCheckpoint checkpoint = tiny_mimo();
  const std::vector<float> expected = expected_logits(checkpoint);
  nlohmann::json& config = checkpoint.config;
  for (const char* key : {"hybrid_layer_pattern", "rope_theta", "swa_rope_theta",
                          "partial_rotary_factor", "layernorm_epsilon"})
    config.erase(key);
  config["layer_types"] = {"full_attention", "sliding_attention", "sliding_attention"};
  config["rms_norm_eps"] = kEpsilon;
  const auto rope = [](double theta) {
    return nlohmann::json{
        {"rope_type", "default"}, {"rope_theta", theta}, {"partial_rotary_factor", 0.334}};
  };
  config["rope_parameters"] = {{"full_attention", rope(kFull.theta)},
                               {"sliding_attention", rope(kSliding.theta)}};
  for (const char* layer : {"1", "2"}) {
    const std::string prefix = std::string("model.layers.") + layer + ".self_attn.";
    checkpoint.tensors[prefix + "sinks"] = checkpoint.tensors.at(prefix + "attention_sink_bias");
    checkpoint.tensors.erase(prefix + "attention_sink_bias");
  }
  CHECK(naive::worst_difference(checkpoint, kTokens, expected) < 2e-5);
}

TEST_CASE("MiMo-V2-Flash refuses what its class does not have") {
  const auto error_with = [](const char* key, const nlohmann::json& value) {
    TinyCheckpoint checkpoint = tiny_mimo();
    checkpoint.config[key] = value;
    const test::TemporaryFolder folder;
    checkpoint.write(folder.path());
    return input_error_of([&] { ForwardModel(folder.path()); });
  };
  CHECK(error_with("n_shared_experts", 1).find("n_shared_experts") != std::string::npos);
  CHECK(error_with("scoring_func", "softmax").find("scoring_func") != std::string::npos);
  CHECK(error_with("moe_layer_freq", {1, 1}).find("3 layers") != std::string::npos);
  CHECK(error_with("hybrid_layer_pattern", {0, 1, 2}) != "no InputError");
  CHECK(error_with("swa_num_key_value_heads", 4).find("6 attention heads") != std::string::npos);
}

}  // namespace
}  // namespace moesim
