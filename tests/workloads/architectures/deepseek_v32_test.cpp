// DeepSeek-V3.2 and GLM-5 against a naive decoder written from the formulas of transformers'
// modular_deepseek_v32.py and modular_glm_moe_dsa.py: loops over tokens in double precision.
#include "tests/workloads/architectures/tiny_model.h"
#include "workloads/forward/key_selection.h"

namespace moesim {
namespace {

using namespace naive;

class NaiveSparseLatent {
 public:
  NaiveSparseLatent(TinyModel& model, bool index_neighbours, std::vector<bool> shares)
      : m_(model), index_neighbours_(index_neighbours), shares_(std::move(shares)) {}

  Result run(const std::vector<std::int32_t>& tokens) {
    const std::int64_t hidden = m_.size("hidden_size");
    const Matrix2 embedding =
        m_.matrix("model.embed_tokens.weight", m_.size("vocab_size"), hidden, 8);
    Matrix2 x;
    for (const std::int32_t token : tokens) x.push_back(embedding[static_cast<std::size_t>(token)]);
    Result result;
    for (std::int64_t layer = 0; layer < m_.size("num_hidden_layers"); ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      const Matrix2 change = attention(prefix + "self_attn.", normed(prefix + "input_layernorm", x),
                                       shares_[static_cast<std::size_t>(layer)]);
      for (std::size_t t = 0; t < x.size(); ++t) x[t] = sum(x[t], change[t]);
      const Matrix2 in = normed(prefix + "post_attention_layernorm", x);
      const bool dense = layer < m_.size("first_k_dense_replace");
      if (!dense) result.experts.emplace_back();
      for (std::size_t t = 0; t < x.size(); ++t)
        x[t] = sum(x[t], dense ? gated(m_, prefix + "mlp.", names_, in[t],
                                       m_.size("intermediate_size"), silu_times)
                               : moe(prefix + "mlp.", in[t], result.experts.back()));
    }
    for (const Row& row : normed("model.norm", x))
      add_logits(m_, "lm_head.weight", row, result.logits);
    return result;
  }

 private:
  const std::vector<std::string> names_{"gate_proj", "up_proj", "down_proj"};
  static constexpr double kTheta = 10000;

  Matrix2 normed(const std::string& name, const Matrix2& x) {
    const Row weight = m_.vector(name + ".weight", m_.size("hidden_size"), 1, 0.1);
    Matrix2 y;
    for (const Row& row : x) y.push_back(rms(row, weight, 1e-5));
    return y;
  }

  Matrix2 attention(const std::string& prefix, const Matrix2& x, bool shares) {
    const std::int64_t hidden = m_.size("hidden_size"), heads = m_.size("num_attention_heads");
    const std::int64_t plain = m_.size("qk_nope_head_dim"), turned = m_.size("qk_rope_head_dim");
    const std::int64_t value = m_.size("v_head_dim"), rank = m_.size("kv_lora_rank");
    const std::int64_t query_rank = m_.size("q_lora_rank"), key = plain + turned;
    Matrix2 latents, queries;
    std::vector<Matrix2> keys(static_cast<std::size_t>(heads)), values(keys.size());
    for (std::size_t t = 0; t < x.size(); ++t) {
      const double position = static_cast<double>(t);
      latents.push_back(rms(times(m_.matrix(prefix + "q_a_proj.weight", query_rank, hidden), x[t]),
                            m_.vector(prefix + "q_a_layernorm.weight", query_rank, 1, 0.1), 1e-6));
      queries.push_back(
          times(m_.matrix(prefix + "q_b_proj.weight", heads * key, query_rank), latents.back()));
      Row down =
          times(m_.matrix(prefix + "kv_a_proj_with_mqa.weight", rank + turned, hidden), x[t]);
      turn(down, static_cast<std::size_t>(rank), static_cast<std::size_t>(turned), position, kTheta,
           true);
      const Row latent = rms({down.begin(), down.begin() + rank},
                             m_.vector(prefix + "kv_a_layernorm.weight", rank, 1, 0.1), 1e-6);
      const Row up =
          times(m_.matrix(prefix + "kv_b_proj.weight", heads * (plain + value), rank), latent);
      for (std::int64_t head = 0; head < heads; ++head) {
        turn(queries.back(), static_cast<std::size_t>(head * key + plain),
             static_cast<std::size_t>(turned), position, kTheta, true);
        const auto first = up.begin() + head * (plain + value);
        Row full(first, first + plain);
        full.insert(full.end(), down.begin() + rank, down.end());
        keys[static_cast<std::size_t>(head)].push_back(full);
        values[static_cast<std::size_t>(head)].emplace_back(first + plain, first + plain + value);
      }
    }
    if (!shares) seen_ = choose(prefix + "indexer.", x, latents);
    Matrix2 out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      Row mixed;
      for (std::int64_t head = 0; head < heads; ++head) {
        const Row query(queries[t].begin() + head * key, queries[t].begin() + (head + 1) * key);
        const auto h = static_cast<std::size_t>(head);
        const Row part =
            attend_to(query, keys[h], values[h], 1 / std::sqrt(static_cast<double>(key)), seen_[t]);
        mixed.insert(mixed.end(), part.begin(), part.end());
      }
      out.push_back(times(m_.matrix(prefix + "o_proj.weight", hidden, heads * value), mixed));
    }
    return out;
  }

  std::vector<std::vector<bool>> choose(const std::string& prefix,
                                        const Matrix2& x,
                                        const Matrix2& latents) {
    const std::int64_t hidden = m_.size("hidden_size"), heads = m_.size("index_n_heads");
    const std::int64_t dim = m_.size("index_head_dim"), rank = m_.size("q_lora_rank");
    const auto turned = static_cast<std::size_t>(m_.size("qk_rope_head_dim"));
    Matrix2 keys;
    std::vector<std::vector<bool>> seen;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const double position = static_cast<double>(t);
      keys.push_back(layer_norm(times(m_.matrix(prefix + "wk.weight", dim, hidden), x[t]),
                                m_.vector(prefix + "k_norm.weight", dim, 1, 0.1),
                                m_.vector(prefix + "k_norm.bias", dim, 0, 0.1), 1e-6));
      turn(keys.back(), 0, turned, position, kTheta, index_neighbours_);
      const Row queries = times(m_.matrix(prefix + "wq_b.weight", heads * dim, rank), latents[t]);
      const Row weights = times(m_.matrix(prefix + "weights_proj.weight", heads, hidden), x[t]);
      Row scores(t + 1, 0.0);
      for (std::int64_t head = 0; head < heads; ++head) {
        Row query(queries.begin() + head * dim, queries.begin() + (head + 1) * dim);
        turn(query, 0, turned, position, kTheta, index_neighbours_);
        for (std::size_t s = 0; s <= t; ++s)
          scores[s] += weights[static_cast<std::size_t>(head)] /
                       std::sqrt(static_cast<double>(heads)) *
                       std::max(0.0, dot(query.data(), keys[s].data(), query.size()) /
                                         std::sqrt(static_cast<double>(dim)));
      }
      seen.emplace_back(x.size(), false);
      for (const std::size_t s : largest(scores, static_cast<std::size_t>(m_.size("index_topk"))))
        seen.back()[s] = true;
    }
    return seen;
  }

  Row moe(const std::string& prefix, const Row& x, std::vector<std::uint16_t>& experts) {
    const std::int64_t count = m_.size("n_routed_experts"), hidden = m_.size("hidden_size");
    const std::int64_t width = m_.size("moe_intermediate_size");
    Row scores = times(m_.matrix(prefix + "gate.weight", count, hidden, 4), x);
    for (double& score : scores) score = logistic(score);
    const Row corrected =
        sum(scores, m_.vector(prefix + "gate.e_score_correction_bias", count, 0, 0.05));
    const auto chosen =
        largest(corrected, static_cast<std::size_t>(m_.size("num_experts_per_tok")));
    double total = 1e-20;
    for (const std::size_t expert : chosen) total += scores[expert];
    Row out = gated(m_, prefix + "shared_experts.", names_, x, width, silu_times);
    for (const std::size_t expert : chosen)
      out = sum(out,
                gated(m_, prefix + "experts." + std::to_string(expert) + ".", names_, x, width,
                      silu_times),
                m_.config["routed_scaling_factor"].get<double>() * scores[expert] / total);
    add_choice(chosen, scores, experts);
    // Every expert's tensors, chosen or not.
    for (std::int64_t expert = 0; expert < count; ++expert)
      gated(m_, prefix + "experts." + std::to_string(expert) + ".", names_, x, width, silu_times);
    return out;
  }

  TinyModel& m_;
  bool index_neighbours_;
  std::vector<bool> shares_;
  std::vector<std::vector<bool>> seen_;
};

nlohmann::json tiny_config(const char* type) {
  return {{"model_type", type},
          {"vocab_size", 40},
          {"hidden_size", 24},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 4},
          {"q_lora_rank", 12},
          {"kv_lora_rank", 8},
          {"qk_nope_head_dim", 6},
          {"qk_rope_head_dim", 4},
          {"v_head_dim", 5},
          {"index_n_heads", 3},
          {"index_head_dim", 8},
          {"index_topk", 4},
          {"first_k_dense_replace", 1},
          {"intermediate_size", 20},
          {"moe_intermediate_size", 9},
          {"n_routed_experts", 8},
          {"n_shared_experts", 1},
          {"num_experts_per_tok", 2},
          {"n_group", 1},
          {"topk_group", 1},
          {"norm_topk_prob", true},
          {"routed_scaling_factor", 2.5},
          {"scoring_func", "sigmoid"},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000},
          {"topk_method", "noaux_tc"},
          {"max_position_embeddings", 64}};
}

const std::vector<std::int32_t> kTokens{5, 31, 0, 17, 33, 2, 38, 9, 9, 24, 7, 12};

TEST_CASE("DeepSeek-V3.2 agrees with a naive decoder, dense and sparse") {
  for (const int top_k : {4, 64}) {  // fewer than the 12 tokens, and more
    CAPTURE(top_k);
    TinyModel model(tiny_config("deepseek_v32"));
    model.config["index_topk"] = top_k;
    const Result expected = NaiveSparseLatent(model, false, {false, false, false}).run(kTokens);
    check_against(model, expected, kTokens);
  }
}

TEST_CASE("GLM-5 agrees with a naive decoder, each layer with its indexer or sharing a choice") {
  TinyModel own(tiny_config("glm_moe_dsa"));
  check_against(own, NaiveSparseLatent(own, true, {false, false, false}).run(kTokens), kTokens);
  TinyModel shared(tiny_config("glm_moe_dsa"));
  shared.config["indexer_types"] = {"full", "shared", "full"};
  check_against(shared, NaiveSparseLatent(shared, true, {false, true, false}).run(kTokens),
                kTokens);
}

TEST_CASE("the indexer of DeepSeek-V3.2 pairs halves, that of GLM-5 neighbours") {
  TinyModel model(tiny_config("glm_moe_dsa"));
  model.config["indexer_rope_interleave"] = false;
  check_against(model, NaiveSparseLatent(model, false, {false, false, false}).run(kTokens),
                kTokens);
}

TEST_CASE("the choice of keys follows index_topk, the pairing and who shares") {
  TinyModel model(tiny_config("glm_moe_dsa"));
  NaiveSparseLatent(model, true, {false, false, false}).run(kTokens);
  CHECK(matters(model, kTokens, {{"index_topk", 3}}));
  CHECK(matters(model, kTokens, {{"indexer_rope_interleave", false}}));
  CHECK(matters(model, kTokens, {{"indexer_types", {"full", "shared", "full"}}}));
  CHECK(matters(model, kTokens, {{"index_topk_pattern", "FFS"}}));
  CHECK(matters(model, kTokens, {{"index_topk_freq", 2}, {"index_skip_topk_offset", 1}}));
}

TEST_CASE("sparse attention's keys are refused by name when they do not fit") {
  const auto refusal = [](const char* type, const nlohmann::json& changes) {
    TinyModel model(tiny_config(type));
    model.config.update(changes);
    const test::TemporaryFolder folder;
    model.write(folder.path());
    return input_error_of([&] { ForwardModel product(folder.path()); });
  };
  const auto names = [](const std::string& message, const char* key) {
    return message.find(key) != std::string::npos;
  };
  CHECK(names(refusal("deepseek_v32", {{"q_lora_rank", nullptr}}), "q_lora_rank"));
  CHECK(names(refusal("deepseek_v32", {{"index_head_dim", 2}}), "index_head_dim"));
  // Without n_group and topk_group the class has 8 groups, too many for 8 experts.
  CHECK(names(refusal("deepseek_v32", {{"n_group", nullptr}, {"topk_group", nullptr}}),
              "n_routed_experts"));
  CHECK(names(refusal("deepseek_v32", {{"layer_types", {"full_attention"}}}), "layer_types"));
  CHECK(names(refusal("glm_moe_dsa", {{"indexer_types", {"full", "shared"}}}), "indexer_types"));
  CHECK(names(refusal("glm_moe_dsa", {{"index_topk_pattern", "FXF"}}), "index_topk_pattern"));
  CHECK(names(refusal("glm_moe_dsa", {{"indexer_types", {"shared", "full", "full"}}}), "layer 0"));
  CHECK(names(refusal("deepseek_v32", {{"indexer_types", {"full", "full", "full"}}}),
              "indexer_types"));
}

TEST_CASE("a query keeps its best keys, equal ones by position") {
  std::vector<std::uint8_t> chosen(5, 0);
  mark_largest(std::vector<float>{1, 3, 3, 2, 3}, 2, chosen);
  CHECK(chosen == std::vector<std::uint8_t>{0, 1, 1, 0, 0});
}

}  // namespace
}  // namespace moesim
