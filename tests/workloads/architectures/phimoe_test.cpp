// Phi-3.5-MoE against a naive double-precision decoder.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/naive_decoder.h"

namespace moesim {
namespace {

using naive::Matrix2;
using naive::Row;
using nlohmann::json;

const std::vector<std::int32_t> kTokens{5, 61, 0, 17, 33, 2, 48, 9, 30};
constexpr std::int64_t kHidden = 24, kExperts = 6, kWidth = 10;

json phimoe_config() {
  return {{"model_type", "phimoe"},      {"vocab_size", 64},
          {"hidden_size", kHidden},      {"num_hidden_layers", 2},
          {"num_attention_heads", 6},    {"num_key_value_heads", 2},
          {"intermediate_size", kWidth}, {"num_local_experts", kExperts},
          {"num_experts_per_tok", 2},    {"max_position_embeddings", 64},
          {"rms_norm_eps", 1e-5},        {"rope_theta", 500.0},
          {"attention_bias", true},      {"lm_head_bias", true},
          {"router_jitter_noise", 0.2},  {"input_jitter_noise", 0.01},
          {"hidden_act", "silu"},        {"tie_word_embeddings", false},
          {"sliding_window", nullptr}};
}

struct PhimoeVariant {
  naive::Turning turning = naive::plain_turning(4, 500);
  std::int64_t window = 0;
  bool biased = true, tied = false;
};

// SparseMixer in evaluation (arXiv 2310.00811), from the class's definition: the best expert, its
// weight a softmax over the experts whose logit lies within 2 jitter of the best, measured by the
// larger of |logit| and the best; then the same without the best.
naive::Choice sparsemixer(const Row& logits, double jitter) {
  naive::Choice choice;
  Row left = logits;
  for (int round = 0; round < 2; ++round) {
    const std::size_t best = naive::largest(left, 1)[0];
    double total = 0;
    for (std::size_t expert = 0; expert < logits.size(); ++expert) {
      const double scale = std::max(std::abs(logits[expert]), left[best]);
      const bool rival = (left[best] - logits[expert]) / scale <= 2 * jitter;
      if (rival && std::isfinite(left[expert])) total += std::exp(left[expert] - left[best]);
    }
    choice.emplace_back(best, 1 / total);
    left[best] = -INFINITY;
  }
  return choice;
}

naive::Result run_phimoe(naive::TinyModel& model, const PhimoeVariant& variant) {
  naive::AttentionPlan attention;
  attention.heads = 6;
  attention.kv_heads = 2;
  attention.dim = 4;
  attention.turning = variant.turning;
  attention.window = variant.window;
  attention.input_bias = attention.output_bias = variant.biased;
  naive::MixturePlan moe;
  moe.experts = kExperts;
  moe.width = kWidth;
  moe.names = {"w1", "w3", "w2"};
  moe.route = [](const std::string&, const Row& logits) { return sparsemixer(logits, 0.2); };
  naive::DecoderPlan plan;
  plan.layers = 2;
  plan.hidden = kHidden;
  plan.tied = variant.tied;
  plan.head_bias = variant.biased;
  plan.norm = [&](const std::string& name, const Row& x) {
    return naive::layer_norm(x, model.vector(name + ".weight", kHidden, 1, 0.2),
                             model.vector(name + ".bias", kHidden, 0, 0.2), 1e-5);
  };
  plan.mix = [&](std::size_t, const std::string& prefix, const Matrix2& x) {
    return naive::grouped_attention(model, prefix + "self_attn.", attention, x);
  };
  plan.feed = [&](std::size_t, const std::string& prefix, const Row& x,
                  std::vector<std::uint16_t>& experts) {
    return naive::mixture(model, prefix + "block_sparse_moe.", moe, x, experts);
  };
  return naive::run_naive(model, plan, kTokens);
}

void check_phimoe(const json& changes, const PhimoeVariant& variant) {
  json config = phimoe_config();
  config.merge_patch(changes);
  naive::TinyModel model(config);
  const naive::Result expected = run_phimoe(model, variant);
  check_against(model, expected, kTokens);
}

TEST_CASE("Phi-3.5-MoE is its naive decoder, with biases and without") {
  check_phimoe(json::object(), {});
  PhimoeVariant plain;
  plain.biased = false;
  check_phimoe({{"attention_bias", false}, {"lm_head_bias", false}}, plain);
}

TEST_CASE("Phi-3.5-MoE slides its window over all layers and ties its embeddings") {
  PhimoeVariant variant;
  variant.window = 3;
  variant.tied = true;
  check_phimoe({{"sliding_window", 3}, {"tie_word_embeddings", true}}, variant);
}

json longrope(int original) {
  return {{"rope_scaling",
           {{"type", "longrope"},
            {"short_factor", {1.0, 1.5}},
            {"long_factor", {2.0, 8.0}},
            {"short_mscale", 1.1},
            {"long_mscale", 1.3},
            {"original_max_position_embeddings", original}}}};
}

TEST_CASE("Phi-3.5-MoE's longrope takes short factors and amplitude within the trained length") {
  PhimoeVariant variant;
  variant.turning = naive::longrope_turning(4, 500, {1, 1.5}, 1.1);
  check_phimoe(longrope(9), variant);  // as many as the tokens
}

TEST_CASE("Phi-3.5-MoE's longrope takes long factors and amplitude beyond the trained length") {
  json config = phimoe_config();
  config.merge_patch(longrope(8));
  naive::TinyModel model(config);
  PhimoeVariant variant;
  variant.turning = naive::longrope_turning(4, 500, {2, 8}, 1.3);
  const naive::Result expected = run_phimoe(model, variant);
  const test::TemporaryFolder folder;
  model.write(folder.path());
  // Only at once: a cache filled below the trained length holds keys turned by the short factors.
  const ForwardOutput output = run_tokens(ForwardModel(folder.path()), kTokens);
  CHECK(largest_difference(output.logits, expected.logits) < 1e-4);
  CHECK(output.routing[1].experts == expected.experts[1]);
}

TEST_CASE("Phi-3.5-MoE refuses by key what it cannot do") {
  naive::TinyModel model(phimoe_config());
  run_phimoe(model, {});
  const auto names = [&](const json& changes, const char* key) {
    naive::TinyModel changed = model;
    changed.config.merge_patch(changes);
    const test::TemporaryFolder folder;
    changed.write(folder.path());
    return input_error_of([&] { ForwardModel loaded(folder.path()); }).find(key) !=
           std::string::npos;
  };
  CHECK(names({{"num_experts_per_tok", 3}}, "num_experts_per_tok"));
  CHECK(names({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}, "rope_scaling"));
  CHECK(names({{"router_jitter_noise", -0.1}}, "router_jitter_noise"));
  CHECK(names({{"hidden_act", "gelu"}}, "hidden_act"));
  CHECK(names({{"qk_norm", true}}, "qk_norm"));
}

}  // namespace
}  // namespace moesim
