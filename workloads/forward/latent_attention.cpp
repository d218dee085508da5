// MLA: latents down, norms, heads up; one rotated key part shared by all heads.
#include "workloads/forward/latent_attention.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

// The hub's classes build the two latent norms with their default, whatever rms_norm_eps says.
constexpr float kLatentEpsilon = 1e-6F;

struct LatentWeights {
  std::shared_ptr<const Weight> query_down;  // null when queries are not compressed
  std::shared_ptr<const Weight> query_up, key_value_down, key_value_up, output;
  Floats query_norm, key_value_norm;
  Floats query_down_bias, key_value_down_bias, output_bias;  // empty when absent
};

class LatentAttention : public Mixer {
 public:
  LatentAttention(const LatentParameters& parameters,
                  std::shared_ptr<Rope> rope,
                  LatentWeights weights,
                  std::shared_ptr<const KeySelector> selector)
      : parameters_(parameters),
        rope_(std::move(rope)),
        weights_(std::move(weights)),
        selector_(std::move(selector)) {
    const std::int64_t key_dim = parameters.plain_dim + parameters.rotated_dim;
    shape_ = {parameters.heads, parameters.heads, key_dim, parameters.value_dim};
    const double yarn = parameters.yarn_scales_scores ? yarn_softmax_factor(parameters.rope) : 1;
    scale_ =
        static_cast<float>(parameters.query_scale * yarn / std::sqrt(static_cast<double>(key_dim)));
  }

  std::unique_ptr<PartState> new_state() const override {
    return new_selecting_state(selector_.get());
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    const Rows query_latent = compress_queries(step, x);
    const Rows queries(step.tokens, weights_.query_up->rows());
    linear(step.pool, weights_.query_down ? query_latent.read() : x, *weights_.query_up, nullptr,
           queries.view);
    if (selector_) selector_->select(step, x, query_latent.read(), states);
    const Rows latent(step.tokens, weights_.key_value_down->rows());
    linear(step.pool, x, *weights_.key_value_down, data_or_null(weights_.key_value_down_bias),
           latent.view);
    const std::int64_t rank = parameters_.key_value_rank;
    for (std::int64_t token = 0; token < step.tokens; ++token) {
      float* row = latent.view.row(token);
      norm(row, rank, weights_.key_value_norm);
      if (parameters_.latent_scale != 1)
        std::for_each(row, row + rank, [this](float& value) { value *= parameters_.latent_scale; });
    }
    const Rows heads(step.tokens, weights_.key_value_up->rows());
    const ConstMatrix compressed{latent.view.data, step.tokens, rank, latent.view.stride};
    linear(step.pool, compressed, *weights_.key_value_up, nullptr, heads.view);
    const Rows mixed(step.tokens, shape_.heads * shape_.value_dim);
    for (std::size_t i = 0; i < step.segments.size(); ++i) {
      const Segment& segment = step.segments[i];
      const auto of = [&](const Rows& rows) {
        return rows.view.part(segment.first_row, segment.tokens);
      };
      run_segment(step.pool, segment, {of(queries), of(latent), of(heads)},
                  static_cast<SelectingState&>(*states[i]), of(mixed));
    }
    linear(step.pool, mixed.read(), *weights_.output, data_or_null(weights_.output_bias), out);
  }

 private:
  static void norm(float* x, std::int64_t size, const Floats& weight) {
    rms_norm({x, static_cast<std::size_t>(size)}, weight, kLatentEpsilon, x);
  }

  // One segment's queries, latents (with the rotated key part behind) and unrotated keys and
  // values.
  struct Projected {
    Matrix queries, latent, heads;
  };

  void run_segment(ThreadPool& pool,
                   const Segment& segment,
                   const Projected& projected,
                   SelectingState& cache,
                   const Matrix& mixed) const {
    const std::int64_t end = segment.end_position(), rank = parameters_.key_value_rank;
    const auto table = rope_->table(segment.call_length);
    cache.keys.resize(static_cast<std::size_t>(end * shape_.heads * shape_.key_dim));
    cache.values.resize(static_cast<std::size_t>(end * shape_.heads * shape_.value_dim));
    Floats by_head(static_cast<std::size_t>(segment.tokens * shape_.heads * shape_.key_dim));
    for (std::int64_t token = 0; token < segment.tokens; ++token) {
      const std::int64_t position = segment.first_position + token;
      const float* from = projected.queries.row(token);
      for (std::int64_t head = 0; head < shape_.heads; ++head)
        place_query(*table, position, from + head * shape_.key_dim,
                    by_head.data() + (head * segment.tokens + token) * shape_.key_dim);
      float* rotated = projected.latent.row(token) + rank;
      table->rotate(rotated, position);
      place_keys_and_values(projected.heads.row(token), rotated, position, cache);
    }
    attend(pool, segment, shape_, with_selection({}, segment, shape_.heads, cache), by_head.data(),
           cache, mixed);
    cache.mask = {};  // as long as the context, and of this step only
  }

  // [tokens][query_rank], normed; no rows when queries are not compressed.
  Rows compress_queries(const ForwardStep& step, const ConstMatrix& x) const {
    if (!weights_.query_down) return {0, 0};
    Rows latent(step.tokens, parameters_.query_rank);
    linear(step.pool, x, *weights_.query_down, data_or_null(weights_.query_down_bias), latent.view);
    for (std::int64_t token = 0; token < step.tokens; ++token)
      norm(latent.view.row(token), parameters_.query_rank, weights_.query_norm);
    return latent;
  }

  void place_query(const RopeTable& table,
                   std::int64_t position,
                   const float* from,
                   float* query) const {
    std::copy_n(from, shape_.key_dim, query);
    table.rotate(query + parameters_.plain_dim, position);
    std::for_each(query, query + shape_.key_dim, [this](float& value) { value *= scale_; });
  }

  // heads: for each head its plain key part, then its value.
  void place_keys_and_values(const float* heads,
                             const float* rotated,
                             std::int64_t position,
                             KeyValueState& cache) const {
    float* key = cache.keys.data() + position * shape_.heads * shape_.key_dim;
    float* value = cache.values.data() + position * shape_.heads * shape_.value_dim;
    for (std::int64_t head = 0; head < shape_.heads; ++head) {
      key = std::copy_n(heads, parameters_.plain_dim, key);
      key = std::copy_n(rotated, parameters_.rotated_dim, key);
      value = std::copy_n(heads + parameters_.plain_dim, shape_.value_dim, value);
      heads += parameters_.plain_dim + shape_.value_dim;
    }
  }

  LatentParameters parameters_;
  HeadShape shape_;
  float scale_ = 1;
  std::shared_ptr<Rope> rope_;
  LatentWeights weights_;
  std::shared_ptr<const KeySelector> selector_;
};

}  // namespace

LatentParameters read_latent(ConfigReader& config, std::int64_t hidden) {
  LatentParameters parameters;
  parameters.hidden = hidden;
  parameters.heads = config.size("num_attention_heads");
  // Every head has its own key: the hub's class would repeat keys otherwise, which no model does.
  config.only("num_key_value_heads", parameters.heads);
  const std::int64_t of_class = config.is_null("q_lora_rank") ? 0 : 1536;
  parameters.query_rank = config.size_or("q_lora_rank", of_class);
  parameters.key_value_rank = config.size("kv_lora_rank");
  parameters.plain_dim = config.size("qk_nope_head_dim");
  parameters.rotated_dim = config.size("qk_rope_head_dim");
  parameters.value_dim = config.size("v_head_dim");
  if (parameters.rotated_dim % 2 != 0)
    config.fail("qk_rope_head_dim", "rotary positions need an even size");
  config.ignore("head_dim");  // follows from the sizes above
  config.ignore("qk_head_dim");
  parameters.bias = config.flag_or("attention_bias", false);
  parameters.rope = read_rope(config, parameters.rotated_dim, 10000);
  parameters.rope.interleaved = config.flag_or("rope_interleave", true);
  return parameters;
}

std::unique_ptr<Mixer> load_latent(const LatentParameters& parameters,
                                   const std::shared_ptr<Rope>& rope,
                                   const Checkpoint& weights,
                                   const std::string& prefix,
                                   std::shared_ptr<const KeySelector> selector) {
  const std::int64_t query_rows =
      parameters.heads * (parameters.plain_dim + parameters.rotated_dim);
  const std::int64_t down_rows = parameters.key_value_rank + parameters.rotated_dim;
  LatentWeights loaded;
  if (parameters.query_rank > 0) {
    const std::int64_t rank = parameters.query_rank;
    loaded.query_down = weights.matrix(prefix + "q_a_proj.weight", rank, parameters.hidden);
    loaded.query_norm = weights.vector(prefix + "q_a_layernorm.weight", rank);
    loaded.query_up = weights.matrix(prefix + "q_b_proj.weight", query_rows, rank);
    if (parameters.bias) loaded.query_down_bias = weights.vector(prefix + "q_a_proj.bias", rank);
  } else {
    loaded.query_up = weights.matrix(prefix + "q_proj.weight", query_rows, parameters.hidden);
  }
  loaded.key_value_down =
      weights.matrix(prefix + "kv_a_proj_with_mqa.weight", down_rows, parameters.hidden);
  loaded.key_value_norm =
      weights.vector(prefix + "kv_a_layernorm.weight", parameters.key_value_rank);
  loaded.key_value_up = weights.matrix(
      prefix + "kv_b_proj.weight", parameters.heads * (parameters.plain_dim + parameters.value_dim),
      parameters.key_value_rank);
  loaded.output = weights.matrix(prefix + "o_proj.weight", parameters.hidden,
                                 parameters.heads * parameters.value_dim);
  if (parameters.bias) {
    loaded.key_value_down_bias = weights.vector(prefix + "kv_a_proj_with_mqa.bias", down_rows);
    loaded.output_bias = weights.vector(prefix + "o_proj.bias", parameters.hidden);
  }
  return std::make_unique<LatentAttention>(parameters, rope, std::move(loaded),
                                           std::move(selector));
}

}  // namespace moesim
