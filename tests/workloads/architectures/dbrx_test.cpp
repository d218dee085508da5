// DBRX against a naive double-precision decoder, in both spellings of its configuration.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/naive_decoder.h"

namespace moesim {
namespace {

using naive::Matrix2;
using naive::Row;
using nlohmann::json;

const std::vector<std::int32_t> kTokens{5, 61, 0, 17, 33, 2, 48};
constexpr std::int64_t kHidden = 24, kHeads = 3, kKeyHeads = 1, kDim = 8, kWidth = 10, kExperts = 5;

json published_spelling() {
  return {{"model_type", "dbrx"},
          {"vocab_size", 64},
          {"d_model", kHidden},
          {"n_layers", 2},
          {"n_heads", kHeads},
          {"max_seq_len", 256},
          {"tie_word_embeddings", false},
          {"attn_config", {{"clip_qkv", 0.5}, {"kv_n_heads", kKeyHeads}, {"rope_theta", 500.0}}},
          {"ffn_config",
           {{"ffn_hidden_size", kWidth},
            {"moe_num_experts", kExperts},
            {"moe_top_k", 3},
            {"moe_jitter_eps", 0.01},
            {"moe_loss_weight", 0.05},
            {"ffn_act_fn", {{"name", "silu"}}}}}};
}

json flat_spelling() {
  return {{"model_type", "dbrx"},
          {"vocab_size", 64},
          {"hidden_size", kHidden},
          {"d_model", kHidden},
          {"num_hidden_layers", 2},
          {"num_attention_heads", kHeads},
          {"num_key_value_heads", kKeyHeads},
          {"head_dim", kDim},
          {"intermediate_size", kWidth},
          {"num_local_experts", kExperts},
          {"num_experts_per_tok", 3},
          {"moe_normalize_expert_weights", 1.0},
          {"clip_qkv", 0.5},
          {"rope_theta", 500.0},
          {"max_position_embeddings", 256},
          {"layer_norm", "layernorm"},
          {"tie_word_embeddings", false}};
}

// `order`: p of the norm that divides the weights; 0 = they are left as they are.
class NaiveDbrx {
 public:
  NaiveDbrx(naive::TinyModel& model, double order) : m_(model), order_(order) {}

  naive::Result run() {
    naive::DecoderPlan plan;
    plan.layers = 2;
    plan.hidden = kHidden;
    plan.norm = [this](const std::string& name, const Row& x) {
      return naive::layer_norm(x, m_.vector(name + ".weight", kHidden, 1, 0.2), Row(x.size(), 0.0),
                               1e-5);
    };
    plan.mix = [this](std::size_t, const std::string& prefix, const Matrix2& x) {
      return attention(prefix + "norm_attn_norm.attn.", x);
    };
    plan.feed = [this](std::size_t, const std::string& prefix, const Row& x,
                       std::vector<std::uint16_t>& experts) {
      return mixture(prefix + "ffn.", x, experts);
    };
    plan.embedding = "transformer.wte.weight";
    plan.final_norm = "transformer.norm_f";
    plan.layer_prefix = "transformer.blocks.";
    plan.mixer_norm = "norm_attn_norm.norm_1";
    plan.ffn_norm = "norm_attn_norm.norm_2";
    return naive::run_naive(m_, plan, kTokens);
  }

 private:
  Matrix2 attention(const std::string& prefix, const Matrix2& x) {
    naive::AttentionPlan plan;
    plan.heads = kHeads;
    plan.kv_heads = kKeyHeads;
    plan.dim = kDim;
    plan.turning = naive::plain_turning(kDim, 500);
    Matrix2 keys, values, out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      Row all = naive::times(
          m_.matrix(prefix + "Wqkv.weight", (kHeads + 2 * kKeyHeads) * kDim, kHidden), x[t]);
      for (double& value : all) value = std::clamp(value, -0.5, 0.5);
      const double position = static_cast<double>(t);
      const Row query =
          naive::place_heads(m_, "", plan, naive::slice(all, 0, kHeads * kDim), position);
      keys.push_back(naive::place_heads(
          m_, "", plan, naive::slice(all, kHeads * kDim, kKeyHeads * kDim), position));
      values.push_back(naive::slice(all, (kHeads + kKeyHeads) * kDim, kKeyHeads * kDim));
      out.push_back(naive::project(m_, prefix + "out_proj", kHidden,
                                   naive::mix_heads(plan, query, keys, values), false));
    }
    return out;
  }

  Row mixture(const std::string& prefix, const Row& x, std::vector<std::uint16_t>& experts) {
    const Row shares = naive::softmax_of(
        naive::times(m_.matrix(prefix + "router.layer.weight", kExperts, kHidden, 4), x));
    const auto chosen = naive::largest(shares, 3);
    naive::add_choice(chosen, shares, experts);
    double sum = 0;
    for (const std::size_t expert : chosen) sum += std::pow(shares[expert], order_);
    const double norm = order_ > 0 ? std::pow(sum, 1 / order_) : 1;
    const auto part = [&](const char* name) {
      return m_.matrix(prefix + "experts.mlp." + name, kExperts * kWidth, kHidden);
    };
    const Matrix2 w1 = part("w1"), v1 = part("v1"), w2 = part("w2");
    Row out(x.size(), 0.0);
    for (const std::size_t expert : chosen)
      for (std::size_t row = expert * kWidth; row < (expert + 1) * kWidth; ++row) {
        const double inner = naive::silu_times(naive::dot(w1[row].data(), x.data(), x.size()),
                                               naive::dot(v1[row].data(), x.data(), x.size()));
        out = naive::sum(std::move(out), w2[row], inner * shares[expert] / norm);
      }
    return out;
  }

  naive::TinyModel& m_;
  double order_;
};

TEST_CASE("DBRX is its naive decoder, in its own spelling and flat") {
  for (const json& config : {published_spelling(), flat_spelling()}) {
    naive::TinyModel model(config);
    check_against(model, NaiveDbrx(model, 1).run(), kTokens);
  }
}

TEST_CASE("DBRX divides by the norm its configuration names, or not at all") {
  json config = published_spelling();
  config["ffn_config"]["moe_normalize_expert_weights"] = 2.0;
  naive::TinyModel squares(config);
  check_against(squares, NaiveDbrx(squares, 2).run(), kTokens);
  config["ffn_config"]["moe_normalize_expert_weights"] = nullptr;
  naive::TinyModel none(config);
  check_against(none, NaiveDbrx(none, 0).run(), kTokens);
}

TEST_CASE("DBRX's clamp, theta and number of experts show in the logits") {
  naive::TinyModel model(published_spelling());
  NaiveDbrx(model, 1).run();  // makes the tensors
  CHECK(matters(model, kTokens, {{"attn_config", {{"clip_qkv", nullptr}}}}));
  CHECK(matters(model, kTokens, {{"attn_config", {{"rope_theta", 1e6}}}}));
  CHECK(matters(model, kTokens, {{"ffn_config", {{"moe_top_k", 2}}}}));
}

std::string dbrx_refusal(const json& changes) {
  naive::TinyModel model(published_spelling());
  NaiveDbrx(model, 1).run();
  model.config.merge_patch(changes);
  const test::TemporaryFolder folder;
  model.write(folder.path());
  return input_error_of([&] { ForwardModel loaded(folder.path()); });
}

TEST_CASE("DBRX refuses by key what it cannot do") {
  const auto names = [](const json& changes, const char* key) {
    return dbrx_refusal(changes).find(key) != std::string::npos;
  };
  CHECK(names({{"tie_word_embeddings", true}}, "tie_word_embeddings"));
  CHECK(names({{"attn_config", {{"kv_heads", 2}}}}, "kv_n_heads"));  // the nearest valid name
  CHECK(names({{"ffn_config", {{"ffn_act_fn", {{"name", "gelu"}}}}}}, "silu"));
  CHECK(names({{"ffn_config", {{"moe_top_k", 6}}}}, "moe_top_k"));
  CHECK(names({{"n_heads", 5}}, "n_heads"));
  CHECK(names({{"num_local_experts", 7}}, "num_local_experts"));  // unlike moe_num_experts
  CHECK(names({{"rope_scaling", {{"type", "linear"}}}}, "factor"));
}

}  // namespace
}  // namespace moesim
