// What a configuration may vary, without golden vectors of its own: each case is reduced to one
// that has them, or to a value that follows from the inputs.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

const std::vector<std::int32_t> kTokens{5, 61, 0, 17, 33, 2, 48, 9};

ForwardOutput run_changed(const std::string& golden,
                          const std::function<void(LooseCheckpoint&)>& change) {
  const test::TemporaryFolder folder;
  LooseCheckpoint checkpoint(golden);
  change(checkpoint);
  checkpoint.write(folder.path());
  return run_tokens(ForwardModel(folder.path()), kTokens);
}

std::vector<int> moe_layers(const ForwardOutput& output) {
  std::vector<int> layers;
  for (const LayerRouting& layer : output.routing) layers.push_back(layer.layer);
  return layers;
}

// Gives layer `layer` of qwen3_moe a dense part of intermediate_size 64.
void make_dense_layer(LooseCheckpoint& checkpoint, int layer) {
  const std::string mlp = "model.layers." + std::to_string(layer) + ".mlp.";
  std::vector<float> values(64 * 32);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.01F * static_cast<float>(i % 19);
  checkpoint.set(mlp + "gate_proj.weight", {64, 32}, values);
  checkpoint.set(mlp + "up_proj.weight", {64, 32}, values);
  checkpoint.set(mlp + "down_proj.weight", {32, 64}, values);
}

TEST_CASE("mlp_only_layers and decoder_sparse_step choose the same dense layer") {
  const auto listed = run_changed("qwen3_moe", [](LooseCheckpoint& c) {
    make_dense_layer(c, 0);
    c.config["mlp_only_layers"] = {0};
  });
  const auto stepped = run_changed("qwen3_moe", [](LooseCheckpoint& c) {
    make_dense_layer(c, 0);
    c.config["decoder_sparse_step"] = 2;
  });
  CHECK(moe_layers(listed) == std::vector<int>{1});
  CHECK(same_bits(listed, stepped));
}

TEST_CASE("without norm_topk_prob the weights keep their share of the whole softmax") {
  const auto plain =
      run_changed("qwen3_moe", [](LooseCheckpoint& c) { c.config["norm_topk_prob"] = false; });
  const LayerRouting& layer = plain.routing[0];
  const std::size_t experts = 16, top_k = 4;
  for (std::size_t token = 0; token < kTokens.size(); ++token) {
    double sum = 0;
    for (std::size_t e = 0; e < experts; ++e)
      sum += std::exp(layer.router_logits[token * experts + e]);
    for (std::size_t i = token * top_k; i < (token + 1) * top_k; ++i)
      CHECK(
          layer.weights[i] ==
          doctest::Approx(std::exp(layer.router_logits[token * experts + layer.experts[i]]) / sum));
  }
}

TEST_CASE("head_dim absent means hidden_size / heads") {
  // mixtral's golden file has none: 32 / 4 = 8.
  const auto given = run_changed("mixtral", [](LooseCheckpoint& c) { c.config["head_dim"] = 8; });
  const auto absent = run_changed("mixtral", [](LooseCheckpoint&) {});
  CHECK(same_bits(given, absent));
}

TEST_CASE("experts may be counted under either key, and top-k defaults to the class's own") {
  const auto base = run_changed("qwen3_moe", [](LooseCheckpoint&) {});
  const auto newer = run_changed("qwen3_moe", [](LooseCheckpoint& c) {
    c.config.erase("num_experts");
    c.config["num_local_experts"] = 16;
  });
  CHECK(same_bits(base, newer));
  // Mixtral's golden model has the class's 2.
  const auto absent =
      run_changed("mixtral", [](LooseCheckpoint& c) { c.config.erase("num_experts_per_tok"); });
  CHECK(same_bits(run_changed("mixtral", [](LooseCheckpoint&) {}), absent));
}

TEST_CASE("rope_theta changes the result and defaults to the class's own") {
  const auto base = run_changed("qwen3_moe", [](LooseCheckpoint&) {});
  const auto absent =
      run_changed("qwen3_moe", [](LooseCheckpoint& c) { c.config.erase("rope_theta"); });
  const auto larger =
      run_changed("qwen3_moe", [](LooseCheckpoint& c) { c.config["rope_theta"] = 1e6; });
  const auto newer = run_changed("qwen3_moe", [](LooseCheckpoint& c) {
    c.config.erase("rope_theta");
    c.config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1e6}};
  });
  CHECK(same_bits(base, absent));
  CHECK(largest_difference(base.logits, larger.logits) > 1e-3);
  CHECK(same_bits(larger, newer));
}

TEST_CASE("OLMoE clamps queries and keys behind their norms, and values") {
  // Norms of weight 0 make queries and keys 0: then each token mixes the values before it evenly,
  // and a clamp at 1e-3 of queries and keys alone would change nothing.
  const auto clamped = [](const nlohmann::json& bound, float norm, float value) {
    return run_changed("olmoe", [&](LooseCheckpoint& c) {
      c.config["clip_qkv"] = bound;
      for (const std::string layer : {"0", "1"}) {
        const std::string prefix = "model.layers." + layer + ".self_attn.";
        for (const char* name : {"q_norm.weight", "k_norm.weight"})
          c.set(prefix + name, {32}, std::vector<float>(32, norm));
        if (value == 0)
          c.set(prefix + "v_proj.weight", {32, 32}, std::vector<float>(32 * 32, 0.0F));
      }
    });
  };
  CHECK(same_bits(clamped(nullptr, 1, 1), clamped(1e6, 1, 1)));
  // Normed queries and keys are about 1 and are cut at 0.25, those of a norm of 1e-3 are not.
  CHECK(largest_difference(clamped(nullptr, 1, 1).logits, clamped(0.25, 1, 1).logits) > 1e-4);
  CHECK(same_bits(clamped(nullptr, 1e-3F, 0), clamped(0.25, 1e-3F, 0)));
  CHECK(largest_difference(clamped(nullptr, 0, 1).logits, clamped(1e-3, 0, 1).logits) > 1e-4);
}

TEST_CASE("attention biases of zero change nothing, others do") {
  const auto with_bias = [](float bias) {
    return run_changed("qwen3_moe", [bias](LooseCheckpoint& c) {
      c.config["attention_bias"] = true;
      for (const char* layer : {"0", "1"})
        for (const auto& [name, rows] : std::map<std::string, std::int64_t>{
                 {"q_proj", 48}, {"k_proj", 24}, {"v_proj", 24}, {"o_proj", 32}})
          c.set(std::string("model.layers.") + layer + ".self_attn." + name + ".bias", {rows},
                std::vector<float>(static_cast<std::size_t>(rows), bias));
    });
  };
  const auto base = run_changed("qwen3_moe", [](LooseCheckpoint&) {});
  CHECK(largest_difference(base.logits, with_bias(0).logits) == 0);
  CHECK(largest_difference(base.logits, with_bias(0.5F).logits) > 1e-3);
}

TEST_CASE("queries without compression equal a compression that loses nothing") {
  // A latent of full rank with an identity down-projection is the norm of x; so q_b is used on the
  // normed input. Scaling x by 1 / rms is what the norm does, hence q_proj x = rms(x) q_b norm(x):
  // equal only where rms(x) is 1, which input_layernorm of weight one makes (up to epsilon).
  std::vector<float> identity(32 * 32, 0.0F);
  for (std::size_t i = 0; i < 32; ++i) identity[i * 33] = 1;
  std::vector<float> up(48 * 32);
  for (std::size_t i = 0; i < up.size(); ++i) up[i] = 0.02F * (static_cast<float>(i % 23) - 11);
  const auto with_queries = [&](bool compressed) {
    return run_changed("deepseek_v3", [&](LooseCheckpoint& c) {
      if (compressed)
        c.config["q_lora_rank"] = 32;
      else
        c.config["q_lora_rank"] = nullptr;
      for (const char* layer : {"0", "1", "2"}) {
        const std::string prefix = std::string("model.layers.") + layer + ".";
        c.set(prefix + "input_layernorm.weight", {32}, std::vector<float>(32, 1.0F));
        c.set(prefix + "self_attn.q_a_proj.weight", {32, 32}, identity);
        c.set(prefix + "self_attn.q_a_layernorm.weight", {32}, std::vector<float>(32, 1.0F));
        c.set(prefix + "self_attn.q_b_proj.weight", {48, 32}, up);
        c.set(prefix + "self_attn.q_proj.weight", {48, 32}, up);
      }
    });
  };
  CHECK(largest_difference(with_queries(true).logits, with_queries(false).logits) < 1e-3);
}

TEST_CASE("without shared experts the block's output is the weighted sum of the routed ones") {
  // Doubling routed_scaling_factor doubles a block that has no shared expert.
  const auto scaled = [](double scale) {
    return run_changed("deepseek_v3", [scale](LooseCheckpoint& c) {
      c.config["n_shared_experts"] = nullptr;
      c.config["routed_scaling_factor"] = scale;
    });
  };
  const auto one = scaled(1).routing[0].output, two = scaled(2).routing[0].output;
  std::vector<float> doubled;
  for (const float value : one) doubled.push_back(2 * value);
  CHECK(largest_difference(doubled, two) < 1e-6);
}

}  // namespace
}  // namespace moesim
