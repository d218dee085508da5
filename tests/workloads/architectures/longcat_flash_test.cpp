// LongCat-Flash against a naive decoder written from the formulas of transformers'
// modular_longcat_flash.py.
#include "tests/workloads/architectures/tiny_model.h"

namespace moesim {
namespace {

using namespace naive;

class NaiveLongcat {
 public:
  explicit NaiveLongcat(TinyModel& model) : m_(model), hidden_(model.size("hidden_size")) {}

  Result run(const std::vector<std::int32_t>& tokens) {
    const Matrix2 embedding =
        m_.matrix("model.embed_tokens.weight", m_.size("vocab_size"), hidden_, 8);
    Matrix2 x;
    for (const std::int32_t token : tokens) x.push_back(embedding[static_cast<std::size_t>(token)]);
    Result result;
    for (std::int64_t layer = 0; layer < m_.size("num_layers"); ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      Matrix2 shortcut;
      result.experts.emplace_back();
      for (const char* half : {"0", "1"}) {
        const std::string dot_half = std::string(".") + half;
        add(x, attention(prefix + "self_attn" + dot_half + ".",
                         normed(prefix + "input_layernorm" + dot_half, x)));
        const Matrix2 in = normed(prefix + "post_attention_layernorm" + dot_half, x);
        Matrix2 dense;
        for (const Row& row : in) {
          if (*half == '0') shortcut.push_back(moe(prefix + "mlp.", row, result.experts.back()));
          dense.push_back(gated(m_, prefix + "mlps" + dot_half + ".", names_, row,
                                m_.size("ffn_hidden_size"), silu_times));
        }
        add(x, dense);
      }
      add(x, shortcut);
    }
    for (const Row& row : normed("model.norm", x))
      add_logits(m_, "lm_head.weight", row, result.logits);
    return result;
  }

 private:
  const std::vector<std::string> names_{"gate_proj", "up_proj", "down_proj"};
  static constexpr double kTheta = 1e7;  // the class's default

  static void add(Matrix2& x, const Matrix2& change) {
    for (std::size_t t = 0; t < x.size(); ++t) x[t] = sum(x[t], change[t]);
  }

  Matrix2 normed(const std::string& name, const Matrix2& x) {
    const Row weight = m_.vector(name + ".weight", hidden_, 1, 0.1);
    Matrix2 y;
    for (const Row& row : x) y.push_back(rms(row, weight, 1e-5));
    return y;
  }

  // Queries times sqrt(hidden / q_lora_rank); the key/value latent, not the rotated key, times
  // sqrt(hidden / kv_lora_rank).
  Matrix2 attention(const std::string& prefix, const Matrix2& x) {
    const std::int64_t heads = m_.size("num_attention_heads"), plain = m_.size("qk_nope_head_dim");
    const std::int64_t turned = m_.size("qk_rope_head_dim"), value = m_.size("v_head_dim");
    const std::int64_t rank = m_.size("kv_lora_rank"), query_rank = m_.size("q_lora_rank");
    const std::int64_t key = plain + turned;
    const auto width = static_cast<double>(hidden_);
    std::vector<Matrix2> keys(static_cast<std::size_t>(heads)), values(keys.size());
    Matrix2 out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const double position = static_cast<double>(t);
      const Row compressed =
          rms(times(m_.matrix(prefix + "q_a_proj.weight", query_rank, hidden_), x[t]),
              m_.vector(prefix + "q_a_layernorm.weight", query_rank, 1, 0.1), 1e-6);
      Row queries =
          times(m_.matrix(prefix + "q_b_proj.weight", heads * key, query_rank), compressed);
      for (double& q : queries) q *= std::sqrt(width / static_cast<double>(query_rank));
      Row down =
          times(m_.matrix(prefix + "kv_a_proj_with_mqa.weight", rank + turned, hidden_), x[t]);
      turn(down, static_cast<std::size_t>(rank), static_cast<std::size_t>(turned), position, kTheta,
           true);
      Row latent = rms({down.begin(), down.begin() + rank},
                       m_.vector(prefix + "kv_a_layernorm.weight", rank, 1, 0.1), 1e-6);
      for (double& l : latent) l *= std::sqrt(width / static_cast<double>(rank));
      const Row up =
          times(m_.matrix(prefix + "kv_b_proj.weight", heads * (plain + value), rank), latent);
      Row mixed;
      for (std::int64_t head = 0; head < heads; ++head) {
        const auto h = static_cast<std::size_t>(head);
        turn(queries, static_cast<std::size_t>(head * key + plain),
             static_cast<std::size_t>(turned), position, kTheta, true);
        const auto first = up.begin() + head * (plain + value);
        Row full(first, first + plain);
        full.insert(full.end(), down.begin() + rank, down.end());
        keys[h].push_back(full);
        values[h].emplace_back(first + plain, first + plain + value);
        const Row part = attend_to(
            {queries.begin() + head * key, queries.begin() + (head + 1) * key}, keys[h], values[h],
            1 / std::sqrt(static_cast<double>(key)), std::vector<bool>(t + 1, true));
        mixed.insert(mixed.end(), part.begin(), part.end());
      }
      out.push_back(times(m_.matrix(prefix + "o_proj.weight", hidden_, heads * value), mixed));
    }
    return out;
  }

  Row moe(const std::string& prefix, const Row& x, std::vector<std::uint16_t>& experts) {
    const std::int64_t real = m_.size("n_routed_experts");
    const std::int64_t all = real + m_.size("zero_expert_num");
    const Row shares =
        softmax_of(times(m_.matrix(prefix + "router.classifier.weight", all, hidden_, 4), x));
    const auto chosen =
        largest(sum(shares, m_.vector(prefix + "router.e_score_correction_bias", all, 0, 0.01)),
                static_cast<std::size_t>(m_.size("moe_topk")));
    Row out(x.size(), 0.0);
    for (std::size_t expert = 0; expert < static_cast<std::size_t>(real); ++expert) {
      const Row result = gated(m_, prefix + "experts." + std::to_string(expert) + ".", names_, x,
                               m_.size("expert_ffn_hidden_size"), silu_times);
      if (std::find(chosen.begin(), chosen.end(), expert) != chosen.end())
        out = sum(out, result, 6 * shares[expert]);
    }
    for (const std::size_t expert : chosen)
      if (expert >= static_cast<std::size_t>(real)) out = sum(out, x, 6 * shares[expert]);
    add_choice(chosen, shares, experts);
    return out;
  }

  TinyModel& m_;
  std::int64_t hidden_;
};

const nlohmann::json kLongcat{{"model_type", "longcat_flash"},
                              {"vocab_size", 40},
                              {"hidden_size", 24},
                              {"num_layers", 2},
                              {"num_hidden_layers", 4},
                              {"num_attention_heads", 4},
                              {"q_lora_rank", 12},
                              {"kv_lora_rank", 8},
                              {"qk_nope_head_dim", 6},
                              {"qk_rope_head_dim", 4},
                              {"v_head_dim", 5},
                              {"ffn_hidden_size", 20},
                              {"expert_ffn_hidden_size", 9},
                              {"n_routed_experts", 6},
                              {"zero_expert_num", 4},
                              {"moe_topk", 3},
                              {"routed_scaling_factor", 6.0}};
const std::vector<std::int32_t> kTokens{5, 31, 0, 17, 33, 2, 38, 9, 9, 24};

TEST_CASE("LongCat-Flash agrees with a naive decoder, zero experts included") {
  TinyModel model(kLongcat);
  const Result expected = NaiveLongcat(model).run(kTokens);
  const bool zero_chosen = std::any_of(expected.experts[0].begin(), expected.experts[0].end(),
                                       [](std::uint16_t expert) { return expert >= 6; });
  CHECK(zero_chosen);
  check_against(model, expected, kTokens);
}

TEST_CASE("LongCat-Flash without zero experts routes to real ones only") {
  TinyModel model(kLongcat);
  model.config["zero_expert_num"] = 0;
  check_against(model, NaiveLongcat(model).run(kTokens), kTokens);
}

TEST_CASE("LongCat-Flash stops at the last router when nothing else is asked for") {
  TinyModel model(kLongcat);
  const Result expected = NaiveLongcat(model).run(kTokens);
  const test::TemporaryFolder folder;
  model.write(folder.path());
  const ForwardModel product(folder.path());
  const auto cache = product.new_cache();
  const ForwardOutput output = product.run(kTokens, *cache, {.threads = 1});
  CHECK(output.routing[1].experts == expected.experts[1]);
}

TEST_CASE("what LongCat-Flash does not implement is refused by key") {
  const auto refused = [](const char* key, const nlohmann::json& value) {
    TinyModel model(kLongcat);
    model.config[key] = value;
    const test::TemporaryFolder folder;
    model.write(folder.path());
    return input_error_of([&] { ForwardModel product(folder.path()); }).find(key) !=
           std::string::npos;
  };
  CHECK(refused("router_bias", true));
  CHECK(refused("zero_expert_type", "drop"));
  CHECK(refused("mla_scale_q_lora", false));
  CHECK(refused("q_lora_rank", nullptr));
  CHECK(refused("num_hidden_layers", 3));
  CHECK(refused("moe_topk", 11));
}

}  // namespace
}  // namespace moesim
