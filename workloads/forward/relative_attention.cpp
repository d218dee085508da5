// Self-attention with a bias by distance, and cross attention.
#include "workloads/forward/relative_attention.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace moesim {
namespace {

// [tokens][heads * dim], from column `first` of x -> [heads][tokens][dim], as attend() wants it.
Floats by_head(const Matrix& x, std::int64_t first, const HeadShape& shape) {
  Floats queries(static_cast<std::size_t>(x.rows * shape.heads * shape.key_dim));
  for (std::int64_t token = 0; token < x.rows; ++token)
    for (std::int64_t head = 0; head < shape.heads; ++head)
      std::copy_n(x.row(token) + first + head * shape.key_dim, shape.key_dim,
                  queries.data() + (head * x.rows + token) * shape.key_dim);
  return queries;
}

// Puts columns key .. of x into the cache from position `first` on; keys then values.
void cache_rows(const Matrix& x,
                std::int64_t column,
                std::int64_t width,
                std::int64_t first,
                KeyValueState& cache) {
  cache.keys.resize(static_cast<std::size_t>((first + x.rows) * width));
  cache.values.resize(cache.keys.size());
  for (std::int64_t token = 0; token < x.rows; ++token) {
    const float* row = x.row(token) + column;
    std::copy_n(row, width, cache.keys.data() + (first + token) * width);
    std::copy_n(row + width, width, cache.values.data() + (first + token) * width);
  }
}

class RelativeAttention : public Mixer {
 public:
  RelativeAttention(const HeadShape& shape,
                    bool causal,
                    std::shared_ptr<const RelativeBias> bias,
                    std::shared_ptr<const Weight> qkv,
                    std::shared_ptr<const Weight> output)
      : shape_(shape), bias_(std::move(bias)), qkv_(std::move(qkv)), output_(std::move(output)) {
    rules_.causal = causal;
    rules_.adjust = [this](std::int64_t head, std::int64_t position, std::int64_t first_key,
                           std::span<float> scores) {
      bias_->add(head, position, first_key, scores);
    };
  }
  RelativeAttention(const RelativeAttention&) = delete;  // rules_ points to this
  RelativeAttention& operator=(const RelativeAttention&) = delete;

  std::unique_ptr<PartState> new_state() const override {
    return std::make_unique<KeyValueState>();
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    const std::int64_t width = shape_.heads * shape_.key_dim;
    const Rows qkv(step.tokens, 3 * width), mixed(step.tokens, width);
    linear(step.pool, x, *qkv_, nullptr, qkv.view);
    for (std::size_t i = 0; i < step.segments.size(); ++i) {
      const Segment& segment = step.segments[i];
      const Matrix rows = qkv.view.part(segment.first_row, segment.tokens);
      auto& cache = static_cast<KeyValueState&>(*states[i]);
      cache_rows(rows, width, width, segment.first_position, cache);
      attend(step.pool, segment, shape_, rules_, by_head(rows, 0, shape_).data(), cache,
             mixed.view.part(segment.first_row, segment.tokens));
    }
    linear(step.pool, mixed.read(), *output_, nullptr, out);
  }

 private:
  HeadShape shape_;
  AttentionRules rules_;
  std::shared_ptr<const RelativeBias> bias_;
  std::shared_ptr<const Weight> qkv_, output_;
};

class CrossAttention : public Mixer {
 public:
  CrossAttention(const HeadShape& shape,
                 std::shared_ptr<const Weight> query,
                 std::shared_ptr<const Weight> key_value,
                 std::shared_ptr<const Weight> output)
      : shape_(shape),
        query_(std::move(query)),
        key_value_(std::move(key_value)),
        output_(std::move(output)) {}

  std::unique_ptr<PartState> new_state() const override {
    return std::make_unique<KeyValueState>();
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    AttentionRules rules;
    rules.causal = false;
    const std::int64_t width = shape_.heads * shape_.key_dim;
    const Rows queries(step.tokens, width), mixed(step.tokens, width);
    linear(step.pool, x, *query_, nullptr, queries.view);
    for (std::size_t i = 0; i < step.segments.size(); ++i) {
      const Segment& segment = step.segments[i];
      auto& cache = static_cast<KeyValueState&>(*states[i]);
      if (cache.keys.empty()) {
        const Rows key_value(segment.encoded.rows, 2 * width);
        linear(step.pool, segment.encoded, *key_value_, nullptr, key_value.view);
        cache_rows(key_value.view, 0, width, 0, cache);
      }
      const Matrix rows = queries.view.part(segment.first_row, segment.tokens);
      attend(step.pool, segment, shape_, rules, by_head(rows, 0, shape_).data(), cache,
             mixed.view.part(segment.first_row, segment.tokens));
    }
    linear(step.pool, mixed.read(), *output_, nullptr, out);
  }

 private:
  HeadShape shape_;
  std::shared_ptr<const Weight> query_, key_value_, output_;
};

HeadShape head_shape(const RelativeAttentionShape& shape) {
  return {shape.heads, shape.heads, shape.head_dim, shape.head_dim};
}

}  // namespace

std::int64_t relative_bucket(const BucketParameters& parameters, std::int64_t distance) {
  std::int64_t buckets = parameters.buckets, first = 0;
  if (parameters.bidirectional) {
    buckets /= 2;
    first = distance > 0 ? buckets : 0;
    distance = std::abs(distance);
  } else {
    distance = std::max<std::int64_t>(-distance, 0);
  }
  const std::int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  // In float32, as the hub's class does: a distance on a bucket's edge must fall on the same side.
  const auto start = static_cast<float>(exact);
  const auto span =
      static_cast<float>(std::log(static_cast<double>(parameters.max_distance) / start));
  const float power =
      std::log(static_cast<float>(distance) / start) / span * static_cast<float>(buckets - exact);
  return first + std::min(exact + static_cast<std::int64_t>(power), buckets - 1);
}

RelativeBias::RelativeBias(const BucketParameters& parameters,
                           std::int64_t heads,
                           const Weight& table)
    : reach_(parameters.max_distance) {
  Floats buffer;
  const float* values = table.expand(0, parameters.buckets, buffer);
  by_distance_.reserve(static_cast<std::size_t>(heads * (2 * reach_ + 1)));
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t distance = -reach_; distance <= reach_; ++distance)
      by_distance_.push_back(values[relative_bucket(parameters, distance) * heads + head]);
}

void RelativeBias::add(std::int64_t head,
                       std::int64_t position,
                       std::int64_t first_key,
                       std::span<float> scores) const {
  const float* biases = by_distance_.data() + head * (2 * reach_ + 1) + reach_;
  std::int64_t distance = first_key - position;
  for (float& score : scores) score += biases[std::clamp(distance++, -reach_, reach_)];
}

std::unique_ptr<Mixer> load_relative_attention(const RelativeAttentionShape& shape,
                                               bool causal,
                                               std::shared_ptr<const RelativeBias> bias,
                                               const Checkpoint& weights,
                                               const std::string& prefix) {
  const std::int64_t width = shape.heads * shape.head_dim;
  auto qkv = weights.stacked({{.name = prefix + "q.weight", .rows = width},
                              {.name = prefix + "k.weight", .rows = width},
                              {.name = prefix + "v.weight", .rows = width}},
                             shape.hidden);
  return std::make_unique<RelativeAttention>(
      head_shape(shape), causal, std::move(bias), std::move(qkv),
      weights.matrix(prefix + "o.weight", shape.hidden, width));
}

std::unique_ptr<Mixer> load_cross_attention(const RelativeAttentionShape& shape,
                                            const Checkpoint& weights,
                                            const std::string& prefix) {
  const std::int64_t width = shape.heads * shape.head_dim;
  auto key_value = weights.stacked(
      {{.name = prefix + "k.weight", .rows = width}, {.name = prefix + "v.weight", .rows = width}},
      shape.hidden);
  return std::make_unique<CrossAttention>(
      head_shape(shape), weights.matrix(prefix + "q.weight", width, shape.hidden),
      std::move(key_value), weights.matrix(prefix + "o.weight", shape.hidden, width));
}

}  // namespace moesim
