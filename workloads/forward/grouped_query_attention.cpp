// Grouped-query attention: one product for queries, keys and values, then attend(), then output.
#include "workloads/forward/grouped_query_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

class GroupedQueryAttention : public Mixer {
 public:
  GroupedQueryAttention(const GroupedQueryParameters& parameters,
                        std::shared_ptr<Rope> rope,
                        GroupedQueryWeights weights)
      : parameters_(parameters), rope_(std::move(rope)), weights_(std::move(weights)) {
    const HeadShape& shape = parameters_.shape;
    scale_ = static_cast<float>(parameters.scale != 0
                                    ? parameters.scale
                                    : 1 / std::sqrt(static_cast<double>(shape.key_dim)));
    query_stride_ = shape.key_dim + (parameters_.output_gate ? shape.value_dim : 0);
    if (parameters.norm == QueryKeyNorm::after_rotation) {
      weights_.query_norm.assign(static_cast<std::size_t>(shape.key_dim), 1.0F);
      weights_.key_norm = weights_.query_norm;
    }
    rules_.window = parameters.window;
    rules_.chunk = parameters.chunk;
    rules_.sinks = weights_.sinks;
  }
  GroupedQueryAttention(const GroupedQueryAttention&) = delete;  // rules_ points into weights_
  GroupedQueryAttention& operator=(const GroupedQueryAttention&) = delete;

  std::unique_ptr<PartState> new_state() const override {
    return new_selecting_state(weights_.selector.get());
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    const HeadShape& shape = parameters_.shape;
    const Rows qkv(step.tokens, weights_.qkv->rows());
    linear(step.pool, x, *weights_.qkv, data_or_null(weights_.qkv_bias), qkv.view);
    if (parameters_.clip > 0 && !parameters_.clip_behind_norms) clip(qkv.view);
    if (weights_.selector) weights_.selector->select(step, x, {}, states);
    const Rows mixed(step.tokens, shape.heads * shape.value_dim);
    for (std::size_t i = 0; i < step.segments.size(); ++i) {
      const Segment& segment = step.segments[i];
      run_segment(step.pool, segment, qkv.view.part(segment.first_row, segment.tokens),
                  static_cast<SelectingState&>(*states[i]),
                  mixed.view.part(segment.first_row, segment.tokens));
    }
    if (parameters_.output_gate) apply_gate(qkv.view, mixed.view);
    linear(step.pool, mixed.read(), *weights_.output, data_or_null(weights_.output_bias), out);
  }

 private:
  void run_segment(ThreadPool& pool,
                   const Segment& segment,
                   const Matrix& qkv,
                   SelectingState& cache,
                   const Matrix& mixed) const {
    const HeadShape& shape = parameters_.shape;
    const std::int64_t end = segment.end_position();
    const auto table = parameters_.rotated ? rope_->table(segment.call_length) : nullptr;
    cache.keys.resize(static_cast<std::size_t>(end * shape.kv_heads * shape.key_dim));
    cache.values.resize(static_cast<std::size_t>(end * shape.kv_heads * shape.value_dim));
    Floats queries(static_cast<std::size_t>(segment.tokens * shape.heads * shape.key_dim));
    for_rows(pool, segment.tokens, 20.0 * static_cast<double>(qkv.rows * qkv.columns),
             [&](std::int64_t token) {
               const std::int64_t position = segment.first_position + token;
               for (std::int64_t head = 0; head < shape.heads; ++head)
                 std::copy_n(qkv.row(token) + head * query_stride_, shape.key_dim,
                             queries.data() + (head * segment.tokens + token) * shape.key_dim);
               place_queries(table.get(), queries.data() + token * shape.key_dim,
                             segment.tokens * shape.key_dim, position);
               place_keys(table.get(), qkv.row(token) + shape.heads * query_stride_, position,
                          cache);
             });
    attend(pool, segment, shape, with_selection(rules_, segment, shape.heads, cache),
           queries.data(), cache, mixed);
    cache.mask = {};  // as long as the context, and of this step only
  }

  // Norms, rotates and scales one token's queries, `stride` floats from head to head.
  void place_queries(const RopeTable* table,
                     float* first,
                     std::int64_t stride,
                     std::int64_t position) const {
    const HeadShape& shape = parameters_.shape;
    norm_before(first, shape.heads, stride, weights_.query_norm);
    if (parameters_.clip_behind_norms)
      for (std::int64_t head = 0; head < shape.heads; ++head)
        clip({first + head * stride, 1, shape.key_dim, shape.key_dim});
    const float scale =
        parameters_.query_scale ? scale_ * parameters_.query_scale(position) : scale_;
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      float* query = first + head * stride;
      turn(table, query, position, weights_.query_norm);
      std::for_each(query, query + shape.key_dim, [scale](float& value) { value *= scale; });
    }
  }

  // The same for keys; then keys and values go into the cache.
  void place_keys(const RopeTable* table,
                  float* keys,
                  std::int64_t position,
                  KeyValueState& cache) const {
    const HeadShape& shape = parameters_.shape;
    const std::int64_t width = shape.kv_heads * shape.key_dim;
    const std::int64_t value_width = shape.kv_heads * shape.value_dim;
    norm_before(keys, shape.kv_heads, shape.key_dim, weights_.key_norm);
    if (parameters_.clip_behind_norms) clip({keys, 1, width + value_width, width + value_width});
    for (std::int64_t head = 0; head < shape.kv_heads; ++head)
      turn(table, keys + head * shape.key_dim, position, weights_.key_norm);
    std::copy_n(keys, width, cache.keys.data() + position * width);
    const auto scale = static_cast<float>(parameters_.value_scale);
    std::transform(keys + width, keys + width + value_width,
                   cache.values.data() + position * value_width,
                   [scale](float value) { return value * scale; });
  }

  void turn(const RopeTable* table, float* head, std::int64_t position, const Floats& norm) const {
    if (table != nullptr) table->rotate(head, position);
    if (parameters_.norm == QueryKeyNorm::after_rotation && table != nullptr)
      rms_norm({head, norm.size()}, norm, parameters_.norm_epsilon, head);
  }

  void norm_before(float* first,
                   std::int64_t heads,
                   std::int64_t stride,
                   const Floats& weight) const {
    const HeadShape& shape = parameters_.shape;
    const auto dim = static_cast<std::size_t>(shape.key_dim);
    if (parameters_.norm == QueryKeyNorm::per_head) {
      for (std::int64_t head = 0; head < heads; ++head)
        rms_norm({first + head * stride, dim}, weight, parameters_.norm_epsilon,
                 first + head * stride);
    } else if (parameters_.norm == QueryKeyNorm::whole) {
      Floats together(weight.size());
      for (std::int64_t head = 0; head < heads; ++head)
        std::copy_n(first + head * stride, dim, together.data() + head * shape.key_dim);
      rms_norm(together, weight, parameters_.norm_epsilon, together.data());
      for (std::int64_t head = 0; head < heads; ++head)
        std::copy_n(together.data() + head * shape.key_dim, dim, first + head * stride);
    }
  }

  void clip(const Matrix& qkv) const {
    const auto bound = static_cast<float>(parameters_.clip);
    for (float* value = qkv.data; value < qkv.row(qkv.rows); ++value)
      *value = std::clamp(*value, -bound, bound);
  }

  void apply_gate(const Matrix& qkv, const Matrix& mixed) const {
    const HeadShape& shape = parameters_.shape;
    for (std::int64_t row = 0; row < mixed.rows; ++row)
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        const float* gate = qkv.row(row) + head * query_stride_ + shape.key_dim;
        float* values = mixed.row(row) + head * shape.value_dim;
        for (std::int64_t i = 0; i < shape.value_dim; ++i) values[i] /= 1.0F + std::exp(-gate[i]);
      }
  }

  GroupedQueryParameters parameters_;
  float scale_ = 1;
  std::int64_t query_stride_ = 0;  // rows of q_proj a head
  AttentionRules rules_;
  std::shared_ptr<Rope> rope_;
  GroupedQueryWeights weights_;
};

void read_heads(ConfigReader& config,
                std::int64_t hidden,
                const HeadDefaults& absent,
                HeadShape& shape) {
  shape.heads = config.size("num_attention_heads");
  const bool own_keys = absent.kv_heads == 0 || config.is_null("num_key_value_heads");
  shape.kv_heads = config.size_or("num_key_value_heads", own_keys ? shape.heads : absent.kv_heads);
  if (shape.heads % shape.kv_heads != 0)
    config.fail("num_key_value_heads", fmt::format("{} does not divide the {} attention heads",
                                                   shape.kv_heads, shape.heads));
  const bool split = absent.head_dim == 0 || config.is_null("head_dim");
  if (split && !config.find("head_dim") && hidden % shape.heads != 0)
    config.fail("num_attention_heads",
                fmt::format("{} heads do not divide hidden_size {} and head_dim is not given",
                            shape.heads, hidden));
  shape.key_dim = config.size_or("head_dim", split ? hidden / shape.heads : absent.head_dim);
  shape.value_dim = shape.key_dim;
}

}  // namespace

GroupedQueryParameters read_grouped_query(ConfigReader& config,
                                          std::int64_t hidden,
                                          double default_theta,
                                          const HeadDefaults& absent) {
  GroupedQueryParameters parameters;
  parameters.hidden = hidden;
  read_heads(config, hidden, absent, parameters.shape);
  parameters.qkv_bias = parameters.output_bias = config.flag_or("attention_bias", false);
  const std::int64_t key_dim = parameters.shape.key_dim;
  // transformers 5 keeps the factor with the rope keys, and some files have it in both places.
  double share = config.number_or("partial_rotary_factor", absent.rotated_share);
  if (share <= 0 || share > 1)
    config.fail("partial_rotary_factor", "must be above 0 and at most 1");
  const auto rope = config.find("rope_parameters");
  if (const auto inside = rope ? rope->find("partial_rotary_factor") : std::nullopt)
    share = inside->as_ratio(1e-6, 1);
  const auto dims = static_cast<std::int64_t>(static_cast<double>(key_dim) * share);
  if (dims % 2 != 0 || dims == 0)
    config.fail(config.find("head_dim") ? "head_dim" : "num_attention_heads",
                fmt::format("rotary positions need an even head size, not {}", dims));
  parameters.rope = read_rope(config, dims, default_theta);
  return parameters;
}

GroupedQueryWeights load_grouped_query_weights(const GroupedQueryParameters& parameters,
                                               const Checkpoint& weights,
                                               const std::string& prefix) {
  const HeadShape& shape = parameters.shape;
  const std::int64_t q_rows =
      shape.heads * (shape.key_dim + (parameters.output_gate ? shape.value_dim : 0));
  const std::int64_t k_rows = shape.kv_heads * shape.key_dim;
  const std::int64_t v_rows = shape.kv_heads * shape.value_dim;
  GroupedQueryWeights loaded;
  loaded.qkv = weights.stacked({{.name = prefix + "q_proj.weight", .rows = q_rows},
                                {.name = prefix + "k_proj.weight", .rows = k_rows},
                                {.name = prefix + "v_proj.weight", .rows = v_rows}},
                               parameters.hidden);
  loaded.output =
      weights.matrix(prefix + "o_proj.weight", parameters.hidden, shape.heads * shape.value_dim);
  if (parameters.qkv_bias)
    for (const auto& [name, rows] :
         {std::pair("q_proj", q_rows), std::pair("k_proj", k_rows), std::pair("v_proj", v_rows)}) {
      const Floats bias = weights.vector(prefix + name + ".bias", rows);
      loaded.qkv_bias.insert(loaded.qkv_bias.end(), bias.begin(), bias.end());
    }
  if (parameters.output_bias)
    loaded.output_bias = weights.vector(prefix + "o_proj.bias", parameters.hidden);
  if (parameters.sinks) loaded.sinks = weights.vector(prefix + "sinks", shape.heads);
  if (parameters.norm == QueryKeyNorm::per_head || parameters.norm == QueryKeyNorm::whole) {
    const bool whole = parameters.norm == QueryKeyNorm::whole;
    loaded.query_norm = weights.vector(prefix + "q_norm.weight",
                                       whole ? shape.heads * shape.key_dim : shape.key_dim);
    loaded.key_norm = weights.vector(prefix + "k_norm.weight", whole ? k_rows : shape.key_dim);
    for (float& weight : loaded.query_norm) weight += parameters.norm_offset;
    for (float& weight : loaded.key_norm) weight += parameters.norm_offset;
  }
  return loaded;
}

std::unique_ptr<Mixer> make_grouped_query(const GroupedQueryParameters& parameters,
                                          std::shared_ptr<Rope> rope,
                                          GroupedQueryWeights weights) {
  return std::make_unique<GroupedQueryAttention>(parameters, std::move(rope), std::move(weights));
}

std::unique_ptr<Mixer> load_grouped_query(const GroupedQueryParameters& parameters,
                                          const std::shared_ptr<Rope>& rope,
                                          const Checkpoint& weights,
                                          const std::string& prefix) {
  return make_grouped_query(parameters, rope,
                            load_grouped_query_weights(parameters, weights, prefix));
}

}  // namespace moesim
