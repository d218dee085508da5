// MiniMax-M3 against a naive decoder written from the formulas of transformers'
// modular_minimax_m3_vl.py.
#include <limits>

#include "tests/workloads/architectures/tiny_model.h"

namespace moesim {
namespace {

using namespace naive;

class NaiveMinimax {
 public:
  NaiveMinimax(TinyModel& model, std::string root)
      : m_(model), root_(std::move(root)), hidden_(model.size("hidden_size")) {}

  Result run(const std::vector<std::int32_t>& tokens) {
    const Matrix2 embedding =
        m_.matrix(root_ + "model.embed_tokens.weight", m_.size("vocab_size"), hidden_, 8);
    Matrix2 x;
    for (const std::int32_t token : tokens) x.push_back(embedding[static_cast<std::size_t>(token)]);
    Result result;
    for (std::size_t layer = 0; layer < m_.config["moe_layer_freq"].size(); ++layer) {
      const std::string prefix = root_ + "model.layers." + std::to_string(layer) + ".";
      const Matrix2 change =
          attention(prefix + "self_attn.", normed(prefix + "input_layernorm", x), sparse(layer));
      for (std::size_t t = 0; t < x.size(); ++t) x[t] = sum(x[t], change[t]);
      const Matrix2 in = normed(prefix + "post_attention_layernorm", x);
      const bool routed = m_.config["moe_layer_freq"][layer] == 1;
      if (routed) result.experts.emplace_back();
      for (std::size_t t = 0; t < x.size(); ++t)
        x[t] = sum(x[t], routed ? moe(prefix + "block_sparse_moe.", in[t], result.experts.back())
                                : gated(m_, prefix + "mlp.", names_, in[t],
                                        m_.size("dense_intermediate_size"), clamped));
    }
    for (const Row& row : normed(root_ + "model.norm", x))
      add_logits(m_, root_ + "lm_head.weight", row, result.logits);
    return result;
  }

 private:
  const std::vector<std::string> names_{"gate_proj", "up_proj", "down_proj"};
  const std::vector<std::string> expert_names_{"w1", "w3", "w2"};
  static constexpr double kAlways = std::numeric_limits<double>::infinity();
  static constexpr double kTheta = 5e6, kLimit = 0.8;  // a limit that values of this size reach

  static double clamped(double gate, double up) {
    gate = std::min(gate, kLimit);
    up = std::clamp(up, -kLimit, kLimit);
    return (up + 1) * gate * logistic(1.702 * gate);
  }

  bool sparse(std::size_t layer) const {
    return m_.config["sparse_attention_config"]["sparse_attention_freq"][layer] == 1;
  }
  std::int64_t of_index(const char* key) const {
    return m_.config["sparse_attention_config"][key].get<std::int64_t>();
  }

  Row norm_of(const Row& x, const std::string& name) {
    Row weight = m_.vector(name + ".weight", static_cast<std::int64_t>(x.size()), 0, 0.1);
    for (double& w : weight) w += 1;  // stored as w - 1
    return rms(x, weight, 1e-6);
  }
  Matrix2 normed(const std::string& name, const Matrix2& x) {
    Matrix2 y;
    for (const Row& row : x) y.push_back(norm_of(row, name));
    return y;
  }

  // One head's projection at a position: normed over the head, its first rotary_dim turned.
  Row head_of(const Row& all,
              std::int64_t head,
              std::int64_t dim,
              const std::string& norm,
              std::size_t position) {
    Row one = norm_of({all.begin() + head * dim, all.begin() + (head + 1) * dim}, norm);
    turn(one, 0, static_cast<std::size_t>(m_.size("rotary_dim")), static_cast<double>(position),
         kTheta, false);
    return one;
  }

  Matrix2 attention(const std::string& prefix, const Matrix2& x, bool selects) {
    const std::int64_t heads = m_.size("num_attention_heads"), dim = m_.size("head_dim");
    const std::int64_t kv_heads = m_.size("num_key_value_heads");
    const std::int64_t index_heads = of_index("sparse_num_index_heads");
    const std::int64_t index_dim = of_index("sparse_index_dim");
    std::vector<Matrix2> keys(static_cast<std::size_t>(kv_heads)), values(keys.size());
    Matrix2 index_keys, out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const auto project = [&](const char* name, std::int64_t rows) {
        return times(m_.matrix(prefix + name + ".weight", rows, hidden_, 2), x[t]);
      };
      const Row q = project("q_proj", heads * dim), k = project("k_proj", kv_heads * dim);
      const Row v = project("v_proj", kv_heads * dim);
      for (std::int64_t head = 0; head < kv_heads; ++head) {
        keys[static_cast<std::size_t>(head)].push_back(head_of(k, head, dim, prefix + "k_norm", t));
        values[static_cast<std::size_t>(head)].emplace_back(v.begin() + head * dim,
                                                            v.begin() + (head + 1) * dim);
      }
      Row index_queries;
      if (selects) {
        index_queries = project("index_q_proj", index_heads * index_dim);
        index_keys.push_back(
            head_of(project("index_k_proj", index_dim), 0, index_dim, prefix + "index_k_norm", t));
      }
      Row mixed;
      for (std::int64_t head = 0; head < heads; ++head) {
        std::vector<bool> seen(t + 1, true);
        if (selects)
          seen = blocks_of(head_of(index_queries, head / (heads / index_heads), index_dim,
                                   prefix + "index_q_norm", t),
                           index_keys, t);
        const auto kv = static_cast<std::size_t>(head / (heads / kv_heads));
        const Row part = attend_to(head_of(q, head, dim, prefix + "q_norm", t), keys[kv],
                                   values[kv], 1 / std::sqrt(static_cast<double>(dim)), seen);
        mixed.insert(mixed.end(), part.begin(), part.end());
      }
      out.push_back(times(m_.matrix(prefix + "o_proj.weight", hidden_, heads * dim), mixed));
    }
    return out;
  }

  std::vector<bool> blocks_of(const Row& query, const Matrix2& keys, std::size_t t) const {
    const auto size = static_cast<std::size_t>(of_index("sparse_block_size"));
    const std::size_t own = t / size;
    Row best(own + 1, -kAlways);
    for (std::size_t s = 0; s <= t; ++s)
      best[s / size] = std::max(best[s / size], dot(query.data(), keys[s].data(), query.size()));
    for (std::int64_t i = 0; i < of_index("sparse_local_block"); ++i)
      best[own - std::min(own, static_cast<std::size_t>(i))] = kAlways;
    for (std::int64_t i = 0; i < of_index("sparse_init_block"); ++i)
      if (static_cast<std::size_t>(i) <= own) best[static_cast<std::size_t>(i)] = kAlways;
    std::vector<bool> seen(t + 1, false);
    for (const std::size_t block :
         largest(best, static_cast<std::size_t>(of_index("sparse_topk_blocks"))))
      for (std::size_t s = block * size; s < std::min((block + 1) * size, t + 1); ++s)
        seen[s] = true;
    return seen;
  }

  Row moe(const std::string& prefix, const Row& x, std::vector<std::uint16_t>& experts) {
    const std::int64_t count = m_.size("num_local_experts");
    Row scores = times(m_.matrix(prefix + "gate.weight", count, hidden_, 4), x);
    for (double& score : scores) score = logistic(score);
    const auto chosen =
        largest(sum(scores, m_.vector(prefix + "e_score_correction_bias", count, 0, 0.05)),
                static_cast<std::size_t>(m_.size("num_experts_per_tok")));
    double total = 0;
    for (const std::size_t expert : chosen) total += scores[expert];
    Row out = gated(m_, prefix + "shared_experts.", names_, x, m_.size("shared_intermediate_size"),
                    clamped);
    for (std::size_t expert = 0; expert < static_cast<std::size_t>(count); ++expert) {
      const Row result = gated(m_, prefix + "experts." + std::to_string(expert) + ".",
                               expert_names_, x, m_.size("intermediate_size"), clamped);
      if (std::find(chosen.begin(), chosen.end(), expert) != chosen.end())
        out = sum(out, result, 2 * scores[expert] / total);
    }
    add_choice(chosen, scores, experts);
    return out;
  }

  TinyModel& m_;
  std::string root_;
  std::int64_t hidden_;
};

nlohmann::json tiny_m3() {
  return {{"model_type", "minimax_m3"},
          {"vocab_size", 40},
          {"hidden_size", 24},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 8},
          {"rotary_dim", 4},
          {"hidden_act", "swigluoai"},
          {"use_gemma_norm", true},
          {"use_qk_norm", true},
          {"qk_norm_type", "per_head"},
          {"intermediate_size", 9},
          {"shared_intermediate_size", 10},
          {"dense_intermediate_size", 20},
          {"num_local_experts", 8},
          {"num_experts_per_tok", 2},
          {"first_k_dense_replace", 1},
          {"moe_layer_freq", {0, 1, 1}},
          {"swiglu_limit", 0.8},
          {"sparse_attention_config",
           {{"sparse_attention_freq", {0, 1, 1}},
            {"sparse_disable_index_value", {0, 1, 1}},
            {"sparse_block_size", 3},
            {"sparse_topk_blocks", 2},
            {"sparse_local_block", 1},
            {"sparse_init_block", 0},
            {"sparse_index_dim", 6},
            {"sparse_num_index_heads", 2},
            {"sparse_score_type", "max"},
            {"use_sparse_attention", true}}}};
}
const std::vector<std::int32_t> kTokens{5, 31, 0, 17, 33, 2, 38, 9, 9, 24, 7, 12, 30, 1};

TEST_CASE("MiniMax-M3 agrees with a naive decoder") {
  TinyModel model(tiny_m3());
  check_against(model, NaiveMinimax(model, "").run(kTokens), kTokens);
}

TEST_CASE("MiniMax-M3 keeps the first blocks when asked to") {
  TinyModel model(tiny_m3());
  model.config["sparse_attention_config"]["sparse_init_block"] = 1;
  check_against(model, NaiveMinimax(model, "").run(kTokens), kTokens);
}

TEST_CASE("MiniMax-M3 sees everything while the blocks are few") {
  TinyModel model(tiny_m3());
  model.config["sparse_attention_config"]["sparse_topk_blocks"] = 16;
  check_against(model, NaiveMinimax(model, "").run(kTokens), kTokens);
}

TEST_CASE("MiniMax-M3's tensors may stand below language_model") {
  TinyModel model(tiny_m3());
  check_against(model, NaiveMinimax(model, "language_model.").run(kTokens), kTokens);
}

TEST_CASE("MiniMax-M3's choice of blocks follows its keys") {
  TinyModel model(tiny_m3());
  NaiveMinimax(model, "").run(kTokens);
  const auto inside = [](const char* key, const nlohmann::json& value) {
    return nlohmann::json{{"sparse_attention_config", {{key, value}}}};
  };
  CHECK(matters(model, kTokens, inside("sparse_block_size", 2)));
  CHECK(matters(model, kTokens, inside("sparse_topk_blocks", 3)));
  CHECK(matters(model, kTokens, inside("sparse_local_block", 0)));
  CHECK(matters(model, kTokens, inside("sparse_init_block", 1)));
  CHECK(matters(model, kTokens, inside("use_sparse_attention", false)));
  CHECK(matters(model, kTokens, {{"swiglu_alpha", 1}}));
  CHECK(matters(model, kTokens, {{"use_gemma_norm", false}}));
}

TEST_CASE("what MiniMax-M3 does not implement is refused by key") {
  const auto refused = [](const char* key, const nlohmann::json& changes) {
    TinyModel model(tiny_m3());
    model.config.merge_patch(changes);
    const test::TemporaryFolder folder;
    model.write(folder.path());
    return input_error_of([&] { ForwardModel product(folder.path()); }).find(key) !=
           std::string::npos;
  };
  const auto inside = [](const char* key, const nlohmann::json& value) {
    return nlohmann::json{{"sparse_attention_config", {{key, value}}}};
  };
  CHECK(refused("sparse_score_type", inside("sparse_score_type", "mean")));
  CHECK(refused("sparse_disable_index_value", inside("sparse_disable_index_value", {0, 1, 0})));
  CHECK(refused("sparse_attention_freq", inside("sparse_attention_freq", {0, 1})));
  CHECK(refused("sparse_unknown", inside("sparse_unknown", 1)));
  CHECK(refused("attention_output_gate", {{"attention_output_gate", true}}));
  CHECK(refused("n_shared_experts", {{"n_shared_experts", 2}}));
  CHECK(refused("first_k_dense_replace", {{"first_k_dense_replace", 2}}));
  CHECK(refused("hidden_act", {{"hidden_act", "gelu"}}));
}

}  // namespace
}  // namespace moesim
