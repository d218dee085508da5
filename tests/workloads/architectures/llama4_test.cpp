// Llama 4 against plain loops written from its public class (transformers v4.57.1).
#include <doctest/doctest.h>

#include "tests/workloads/architectures/tiny_checkpoint.h"

namespace moesim {
namespace {

using naive::TinyCheckpoint;
using naive::Vector;

// 5 layers: the second without positions (no_rope_layer_interval 2), mixtures in layers 1 and 3.
constexpr std::size_t kHidden = 12, kHeads = 4, kKeyHeads = 2, kDim = 6, kLayers = 5;
constexpr std::size_t kExperts = 5, kChosen = 2, kWidth = 7, kDense = 9, kChunk = 4;
constexpr double kEpsilon = 1e-5, kTheta = 5000, kFloor = 3, kScale = 0.5;
const std::vector<std::int32_t> kTokens{3, 19, 0, 7, 7, 15, 2, 11, 18, 4, 9};

bool rotated(std::size_t layer) { return (layer + 1) % 2 != 0; }
bool mixture(std::size_t layer) { return (layer + 1) % 2 == 0; }

nlohmann::json tiny_config() {
  return {{"model_type", "llama4_text"},
          {"vocab_size", 20},
          {"hidden_size", kHidden},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"num_key_value_heads", kKeyHeads},
          {"head_dim", kDim},
          {"intermediate_size", kWidth},
          {"intermediate_size_mlp", kDense},
          {"num_local_experts", kExperts},
          {"num_experts_per_tok", kChosen},
          {"interleave_moe_layer_step", 2},
          {"no_rope_layer_interval", 2},
          {"attention_chunk_size", kChunk},
          {"floor_scale", kFloor},
          {"attn_scale", kScale},
          {"rms_norm_eps", kEpsilon},
          {"rope_theta", kTheta}};
}

TinyCheckpoint tiny_llama4() {
  TinyCheckpoint c;
  c.config = tiny_config();
  c.add("model.embed_tokens.weight", {20, kHidden}, 1);
  c.add_matrix("lm_head.weight", 20, kHidden);
  c.add_norm("model.norm.weight", kHidden);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    c.add_norm(prefix + "input_layernorm.weight", kHidden);
    c.add_norm(prefix + "post_attention_layernorm.weight", kHidden);
    c.add_matrix(prefix + "self_attn.q_proj.weight", kHeads * kDim, kHidden);
    c.add_matrix(prefix + "self_attn.k_proj.weight", kKeyHeads * kDim, kHidden);
    c.add_matrix(prefix + "self_attn.v_proj.weight", kKeyHeads * kDim, kHidden);
    c.add_matrix(prefix + "self_attn.o_proj.weight", kHidden, kHeads * kDim);
    const std::string ffn = prefix + "feed_forward.";
    if (!mixture(layer)) {
      c.add_network(ffn, kHidden, kDense);
      continue;
    }
    c.add_matrix(ffn + "router.weight", kExperts, kHidden);
    c.add(ffn + "experts.gate_up_proj", {kExperts, kHidden, 2 * kWidth}, 0.3);
    c.add(ffn + "experts.down_proj", {kExperts, kWidth, kHidden}, 0.3);
    c.add_network(ffn + "shared_expert.", kHidden, kWidth);
  }
  return c;
}

// Neighbouring dimensions are real and imaginary part of a number turned by the position.
Vector turn(const Vector& head, double position) {
  Vector y(head);
  for (std::size_t i = 0; i < kDim / 2; ++i) {
    const double angle =
        position * std::pow(kTheta, -2.0 * static_cast<double>(i) / static_cast<double>(kDim));
    y[2 * i] = head[2 * i] * std::cos(angle) - head[2 * i + 1] * std::sin(angle);
    y[2 * i + 1] = head[2 * i] * std::sin(angle) + head[2 * i + 1] * std::cos(angle);
  }
  return y;
}

Vector placed(const Vector& head, std::size_t layer, std::size_t position, bool head_norm) {
  if (!rotated(layer)) return head;
  const Vector turned = turn(head, static_cast<double>(position));
  return head_norm ? naive::rms_norm(turned, {}, kEpsilon) : turned;
}

naive::Matrix mix(const TinyCheckpoint& c, std::size_t layer, const naive::Matrix& x) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".self_attn.";
  const bool head_norm = c.config.value("use_qk_norm", true);
  naive::Matrix joined(x.size()), out;
  for (std::size_t head = 0; head < kHeads; ++head) {
    const std::size_t shared = head / (kHeads / kKeyHeads) * kDim;
    naive::Matrix q, k, v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      Vector query = placed(naive::part(c.times(prefix + "q_proj.weight", x[t]), head * kDim, kDim),
                            layer, t, head_norm);
      double scale = 1 / std::sqrt(static_cast<double>(kDim));
      if (!rotated(layer))
        scale *= std::log1p(std::floor((static_cast<double>(t) + 1) / kFloor)) * kScale + 1;
      for (double& value : query) value *= scale;
      q.push_back(query);
      k.push_back(placed(naive::part(c.times(prefix + "k_proj.weight", x[t]), shared, kDim), layer,
                         t, head_norm));
      v.push_back(naive::part(c.times(prefix + "v_proj.weight", x[t]), shared, kDim));
    }
    const naive::Matrix mixed = naive::attend(q, k, v, [layer](std::size_t query, std::size_t key) {
      return !rotated(layer) || query / kChunk == key / kChunk;
    });
    for (std::size_t t = 0; t < x.size(); ++t)
      joined[t].insert(joined[t].end(), mixed[t].begin(), mixed[t].end());
  }
  for (const Vector& row : joined) out.push_back(c.times(prefix + "o_proj.weight", row));
  return out;
}

Vector feed(const TinyCheckpoint& c, std::size_t layer, const Vector& x) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".feed_forward.";
  if (!mixture(layer)) return naive::gated_network(c, prefix, x);
  Vector y = naive::gated_network(c, prefix + "shared_expert.", x);
  const Vector logits = c.times(prefix + "router.weight", x);
  for (const std::size_t expert : naive::largest(logits, kChosen)) {
    Vector input(x);
    for (double& value : input) value *= naive::sigmoid(logits[expert]);
    const Vector both =
        c.times_transposed(prefix + "experts.gate_up_proj", expert, 2 * kWidth, input);
    Vector inner;
    for (std::size_t i = 0; i < kWidth; ++i)
      inner.push_back(naive::silu(both[i]) * both[kWidth + i]);
    naive::add_to(y, c.times_transposed(prefix + "experts.down_proj", expert, kHidden, inner));
  }
  return y;
}

std::vector<float> expected_logits(const TinyCheckpoint& c) {
  const naive::Model model{
      c, kEpsilon, kLayers,
      [&](std::size_t layer, const naive::Matrix& x) { return mix(c, layer, x); },
      [&](std::size_t layer, const Vector& x) { return feed(c, layer, x); }};
  return model.logits(kTokens);
}

TEST_CASE("Llama 4 agrees with plain loops, with and without the heads' norm") {
  TinyCheckpoint checkpoint = tiny_llama4();
  CHECK(naive::worst_difference(checkpoint, kTokens, expected_logits(checkpoint)) < 2e-5);
  checkpoint.config["use_qk_norm"] = false;
  CHECK(naive::worst_difference(checkpoint, kTokens, expected_logits(checkpoint)) < 2e-5);
}

TEST_CASE("Llama 4's lists of layers say what its intervals say") {
  TinyCheckpoint checkpoint = tiny_llama4();
  const std::vector<float> expected = expected_logits(checkpoint);
  for (const char* key : {"interleave_moe_layer_step", "no_rope_layer_interval"})
    checkpoint.config.erase(key);
  checkpoint.config["moe_layers"] = {1, 3};
  checkpoint.config["no_rope_layers"] = {1, 0, 1, 0, 1};
  CHECK(naive::worst_difference(checkpoint, kTokens, expected) < 2e-5);
}

TEST_CASE("a Llama 4 inside a model with a vision tower is the same") {
  TinyCheckpoint checkpoint = tiny_llama4();
  const std::vector<float> expected = expected_logits(checkpoint);
  std::map<std::string, TinyCheckpoint::Tensor> deeper;
  for (const auto& [name, tensor] : checkpoint.tensors) deeper["language_model." + name] = tensor;
  checkpoint.tensors = deeper;
  checkpoint.config = {{"model_type", "llama4"},
                       {"text_config", checkpoint.config},
                       {"vision_config", {{"hidden_size", 8}}},
                       {"image_token_index", 5}};
  CHECK(naive::worst_difference(checkpoint, kTokens, expected) < 2e-5);
}

TEST_CASE("chunked attention without a chunk size is refused") {
  TinyCheckpoint checkpoint = tiny_llama4();
  checkpoint.config["attention_chunk_size"] = nullptr;
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  const std::string error = input_error_of([&] { ForwardModel(folder.path()); });
  CHECK(error.find("attention_chunk_size") != std::string::npos);
}

}  // namespace
}  // namespace moesim
