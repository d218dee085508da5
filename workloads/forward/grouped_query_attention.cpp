// Grouped-query attention: one product for queries, keys and values, then attend(), then output.
#include "workloads/forward/grouped_query_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

struct GroupedQueryWeights {
  std::shared_ptr<const Weight> qkv, output;
  Floats qkv_bias, output_bias, query_norm, key_norm;  // empty when absent
};

class GroupedQueryAttention : public Attention {
 public:
  GroupedQueryAttention(const GroupedQueryParameters& parameters,
                        std::shared_ptr<Rope> rope,
                        GroupedQueryWeights weights)
      : parameters_(parameters), rope_(std::move(rope)), weights_(std::move(weights)) {}

  std::unique_ptr<AttentionState> new_state() const override {
    return std::make_unique<KeyValueState>();
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           AttentionState& state) const override {
    auto& cache = static_cast<KeyValueState&>(state);
    const HeadShape& shape = parameters_.shape;
    const std::int64_t end = step.first_position + step.tokens;
    const auto floats = [](std::int64_t count) { return Floats(static_cast<std::size_t>(count)); };
    const std::int64_t width = weights_.qkv->rows();
    Floats qkv = floats(step.tokens * width);
    linear(step.pool, x, *weights_.qkv, data_or_null(weights_.qkv_bias),
           {qkv.data(), step.tokens, width, width});

    rope_->extend(end);
    cache.keys.resize(static_cast<std::size_t>(end * shape.kv_heads * shape.key_dim));
    cache.values.resize(static_cast<std::size_t>(end * shape.kv_heads * shape.value_dim));
    Floats queries = floats(step.tokens * shape.heads * shape.key_dim);
    constexpr std::int64_t kTileRows = 32;
    step.pool.run(static_cast<std::size_t>((step.tokens + kTileRows - 1) / kTileRows),
                  20.0 * static_cast<double>(qkv.size()), [&](std::size_t tile, Scratch&) {
                    const std::int64_t first = static_cast<std::int64_t>(tile) * kTileRows;
                    const std::int64_t last = std::min(first + kTileRows, step.tokens);
                    for (std::int64_t token = first; token < last; ++token)
                      place_token(step, token, qkv.data() + token * width, queries.data(), cache);
                  });

    const std::int64_t mixed_width = shape.heads * shape.value_dim;
    Floats mixed = floats(step.tokens * mixed_width);
    const Matrix mixture{mixed.data(), step.tokens, mixed_width, mixed_width};
    attend(step, shape, queries.data(), cache, mixture);
    linear(step.pool, {mixed.data(), step.tokens, mixed_width, mixed_width}, *weights_.output,
           data_or_null(weights_.output_bias), out);
  }

 private:
  static const float* data_or_null(const Floats& values) {
    return values.empty() ? nullptr : values.data();
  }

  // Norms and rotates one token's queries and keys and puts them and its values where attend()
  // wants them.
  void place_token(const ForwardStep& step,
                   std::int64_t token,
                   float* qkv,
                   float* queries,
                   KeyValueState& cache) const {
    const HeadShape& shape = parameters_.shape;
    const std::int64_t dim = shape.key_dim, position = step.first_position + token;
    const std::int64_t kv_width = shape.kv_heads * dim;
    float* keys = qkv + shape.heads * dim;
    norm_heads(qkv, shape.heads, weights_.query_norm);
    norm_heads(keys, shape.kv_heads, weights_.key_norm);
    const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      float* query = queries + (head * step.tokens + token) * dim;
      std::copy_n(qkv + head * dim, dim, query);
      rope_->rotate(query, position);
      std::for_each(query, query + dim, [scale](float& value) { value *= scale; });
    }
    for (std::int64_t head = 0; head < shape.kv_heads; ++head)
      rope_->rotate(keys + head * dim, position);
    std::copy_n(keys, kv_width, cache.keys.data() + position * kv_width);
    std::copy_n(keys + kv_width, kv_width, cache.values.data() + position * kv_width);
  }

  void norm_heads(float* x, std::int64_t heads, const Floats& weight) const {
    if (parameters_.norm == QueryKeyNorm::none) return;
    const std::size_t width = weight.size();  // one head, or all of them
    const std::size_t total = static_cast<std::size_t>(heads * parameters_.shape.key_dim);
    for (std::size_t at = 0; at < total; at += width)
      rms_norm({x + at, width}, weight, parameters_.norm_epsilon, x + at);
  }

  GroupedQueryParameters parameters_;
  std::shared_ptr<Rope> rope_;
  GroupedQueryWeights weights_;
};

}  // namespace

GroupedQueryParameters read_grouped_query(ConfigReader& config,
                                          std::int64_t hidden,
                                          double default_theta) {
  GroupedQueryParameters parameters;
  parameters.hidden = hidden;
  HeadShape& shape = parameters.shape;
  shape.heads = config.size("num_attention_heads");
  shape.kv_heads = config.size_or("num_key_value_heads", shape.heads);
  if (shape.heads % shape.kv_heads != 0)
    config.fail("num_key_value_heads", fmt::format("{} does not divide the {} attention heads",
                                                   shape.kv_heads, shape.heads));
  if (!config.find("head_dim") && hidden % shape.heads != 0)
    config.fail("num_attention_heads",
                fmt::format("{} heads do not divide hidden_size {} and head_dim is not given",
                            shape.heads, hidden));
  shape.key_dim = config.size_or("head_dim", hidden / shape.heads);
  shape.value_dim = shape.key_dim;
  if (shape.key_dim % 2 != 0)
    config.fail(config.find("head_dim") ? "head_dim" : "num_attention_heads",
                fmt::format("rotary positions need an even head size, not {}", shape.key_dim));
  parameters.bias = config.flag_or("attention_bias", false);
  parameters.rope = read_rope(config, shape.key_dim, default_theta);
  return parameters;
}

std::unique_ptr<Attention> load_grouped_query(const GroupedQueryParameters& parameters,
                                              const std::shared_ptr<Rope>& rope,
                                              const Checkpoint& weights,
                                              const std::string& prefix) {
  const HeadShape& shape = parameters.shape;
  const std::int64_t q_rows = shape.heads * shape.key_dim, kv_rows = shape.kv_heads * shape.key_dim;
  GroupedQueryWeights loaded;
  loaded.qkv = weights.stacked({{prefix + "q_proj.weight", q_rows},
                                {prefix + "k_proj.weight", kv_rows},
                                {prefix + "v_proj.weight", kv_rows}},
                               parameters.hidden);
  loaded.output = weights.matrix(prefix + "o_proj.weight", parameters.hidden, q_rows);
  if (parameters.bias) {
    loaded.output_bias = weights.vector(prefix + "o_proj.bias", parameters.hidden);
    for (const auto& [name, rows] : {std::pair("q_proj", q_rows), std::pair("k_proj", kv_rows),
                                     std::pair("v_proj", kv_rows)}) {
      const Floats bias = weights.vector(prefix + name + ".bias", rows);
      loaded.qkv_bias.insert(loaded.qkv_bias.end(), bias.begin(), bias.end());
    }
  }
  if (parameters.norm != QueryKeyNorm::none) {
    const bool whole = parameters.norm == QueryKeyNorm::whole;
    loaded.query_norm = weights.vector(prefix + "q_norm.weight", whole ? q_rows : shape.key_dim);
    loaded.key_norm = weights.vector(prefix + "k_norm.weight", whole ? kv_rows : shape.key_dim);
  }
  return std::make_unique<GroupedQueryAttention>(parameters, rope, std::move(loaded));
}

}  // namespace moesim
