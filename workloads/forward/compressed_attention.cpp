// The window's keys and the compressed entries side by side in one attention.
#include "workloads/forward/compressed_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "workloads/forward/grouped_linear.h"
#include "workloads/forward/kernels.h"
#include "workloads/forward/key_selection.h"

namespace moesim {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

struct AttentionWeights {
  std::shared_ptr<const Weight> query_down, query_up, key, output_down, output_up;
  Norm query_norm, key_norm;
  Floats sinks, ones;
  std::optional<KeyCompressor> compressor, index_compressor;
  std::shared_ptr<const Weight> index_query_up, index_weights;
};

struct CompressedState : PartState {
  Floats keys;                 // [positions from first_key][head_dim], rotated
  std::int64_t first_key = 0;  // keys before it lie outside every window to come
  CompressorState entries, index_entries;
};

// What one step projects, [tokens][...]; parts that a layer does not have hold no rows.
struct Projected {
  Rows queries, keys, entries, index_entries, index_queries, index_weights;
};

// The pairs of rotate(), which leaves first members in front, as neighbours again.
void interleave(float* x, std::int64_t dims) {
  const Floats halves(x, x + dims);
  for (std::int64_t pair = 0; pair < dims / 2; ++pair) {
    x[2 * pair] = halves[static_cast<std::size_t>(pair)];
    x[2 * pair + 1] = halves[static_cast<std::size_t>(pair + dims / 2)];
  }
}

class CompressedAttention : public Mixer {
 public:
  CompressedAttention(const CompressedAttentionParameters& parameters,
                      std::shared_ptr<Rope> rope,
                      AttentionWeights weights)
      : parameters_(parameters), rope_(std::move(rope)), weights_(std::move(weights)) {}

  std::unique_ptr<PartState> new_state() const override {
    return std::make_unique<CompressedState>();
  }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           PartStates states) const override {
    const Projected projected = project(step, x);
    const Rows mixed(step.tokens, parameters_.heads * parameters_.head_dim);
    for (std::size_t i = 0; i < step.segments.size(); ++i)
      run_segment(step.pool, step.segments[i], projected, static_cast<CompressedState&>(*states[i]),
                  mixed.view.part(step.segments[i].first_row, step.segments[i].tokens));
    const Rows latent(step.tokens, weights_.output_down->rows());
    grouped_linear(step.pool, mixed.read(), *weights_.output_down, parameters_.output_groups,
                   latent.view);
    linear(step.pool, latent.read(), *weights_.output_up, nullptr, out);
  }

 private:
  Projected project(const ForwardStep& step, const ConstMatrix& x) const {
    const auto through = [&](const ConstMatrix& from, const Weight& weight) {
      Rows to(step.tokens, weight.rows());
      linear(step.pool, from, weight, nullptr, to.view);
      return to;
    };
    const Rows latent = through(x, *weights_.query_down);
    weights_.query_norm.apply(latent.read(), latent.view);
    const auto& compressor = weights_.compressor;
    const auto& index = weights_.index_compressor;
    Projected projected{through(latent.read(), *weights_.query_up),
                        through(x, *weights_.key),
                        compressor ? compressor->project(step, x) : Rows(0, 0),
                        index ? index->project(step, x) : Rows(0, 0),
                        index ? through(latent.read(), *weights_.index_query_up) : Rows(0, 0),
                        index ? through(x, *weights_.index_weights) : Rows(0, 0)};
    weights_.key_norm.apply(projected.keys.read(), projected.keys.view);
    return projected;
  }

  void run_segment(ThreadPool& pool,
                   const Segment& segment,
                   const Projected& projected,
                   CompressedState& state,
                   const Matrix& mixed) const {
    const auto of = [&](const Rows& rows) {
      return rows.view.part(segment.first_row, segment.tokens);
    };
    const auto table = rope_->table(segment.call_length);
    append_keys(segment, of(projected.keys), *table, state);
    if (weights_.compressor)
      weights_.compressor->append(pool, segment, of(projected.entries).read(), *table,
                                  state.entries);
    const KeyMask chosen = choose_entries(pool, segment, projected, *table, state);
    KeyValueState all;
    all.keys = state.keys;
    all.keys.insert(all.keys.end(), state.entries.entries.begin(), state.entries.entries.end());
    all.values = all.keys;
    const auto in_window = static_cast<std::int64_t>(state.keys.size()) / parameters_.head_dim;
    AttentionRules rules;
    rules.causal = false;  // the order of keys is not that of positions: hide() knows it
    rules.sinks = weights_.sinks;
    rules.adjust = [&](std::int64_t, std::int64_t position, std::int64_t, std::span<float> scores) {
      const auto window = static_cast<std::size_t>(in_window);
      hide_outside(position - state.first_key, scores.first(window));
      hide_entries(chosen, position - segment.first_position, position, scores.subspan(window));
    };
    const HeadShape shape{parameters_.heads, 1, parameters_.head_dim, parameters_.head_dim};
    attend(pool, segment, shape, rules,
           place_queries(segment, of(projected.queries), *table).data(), all, mixed);
    turn_back(segment, *table, mixed);
  }

  // Rotates the new keys and keeps them behind those that a window may still reach.
  void append_keys(const Segment& segment,
                   const Matrix& keys,
                   const RopeTable& table,
                   CompressedState& state) const {
    const std::int64_t dim = parameters_.head_dim, first = segment.first_position;
    const std::int64_t needed = std::max(state.first_key, first - parameters_.window + 1);
    state.keys.resize(static_cast<std::size_t>((first - state.first_key) * dim));
    state.keys.erase(state.keys.begin(), state.keys.begin() + (needed - state.first_key) * dim);
    state.first_key = needed;
    for (std::int64_t token = 0; token < segment.tokens; ++token) {
      float* key = keys.row(token);
      table.rotate(key + dim - parameters_.rotated_dim, first + token);
      state.keys.insert(state.keys.end(), key, key + dim);
    }
  }

  // The entries each token sees; empty = all whose windows have ended.
  KeyMask choose_entries(ThreadPool& pool,
                         const Segment& segment,
                         const Projected& projected,
                         const RopeTable& table,
                         CompressedState& state) const {
    if (!weights_.index_compressor) return {};
    const auto of = [&](const Rows& rows) {
      return rows.view.part(segment.first_row, segment.tokens);
    };
    const std::int64_t heads = parameters_.index_heads, dim = parameters_.index_head_dim;
    weights_.index_compressor->append(pool, segment, of(projected.index_entries).read(), table,
                                      state.index_entries);
    const std::int64_t entries = segment.end_position() / parameters_.ratio;
    if (entries <= parameters_.index_top_k) return {};
    const Matrix queries = of(projected.index_queries), weights = of(projected.index_weights);
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim * heads)));
    for (std::int64_t token = 0; token < segment.tokens; ++token) {
      for (std::int64_t head = 0; head < heads; ++head)
        table.rotate(queries.row(token) + (head + 1) * dim - parameters_.rotated_dim,
                     segment.first_position + token);
      std::for_each(weights.row(token), weights.row(token) + heads,
                    [scale](float& weight) { weight *= scale; });
    }
    return choose_keys(pool, {queries.read(),
                              weights.read(),
                              {state.index_entries.entries.data(), entries, dim, dim},
                              parameters_.index_top_k,
                              [&](std::int64_t token) {
                                return (segment.first_position + token + 1) / parameters_.ratio;
                              }});
  }

  // `own` is the query's own place among the window's keys.
  void hide_outside(std::int64_t own, std::span<float> scores) const {
    const auto first =
        static_cast<std::ptrdiff_t>(std::max<std::int64_t>(own - parameters_.window + 1, 0));
    std::fill(scores.begin(), scores.begin() + first, kHidden);
    std::fill(scores.begin() + own + 1, scores.end(), kHidden);
  }

  void hide_entries(const KeyMask& chosen,
                    std::int64_t token,
                    std::int64_t position,
                    std::span<float> scores) const {
    if (!chosen.empty()) {
      chosen.hide(token, 0, 0, scores);
      return;
    }
    const auto ended = static_cast<std::ptrdiff_t>((position + 1) / parameters_.ratio);
    if (!scores.empty()) std::fill(scores.begin() + ended, scores.end(), kHidden);
  }

  // [heads][tokens][head_dim]: each head divided by its root mean square, rotated and scaled.
  Floats place_queries(const Segment& segment,
                       const Matrix& queries,
                       const RopeTable& table) const {
    const std::int64_t dim = parameters_.head_dim;
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
    Floats by_head(static_cast<std::size_t>(segment.tokens * queries.columns));
    for (std::int64_t token = 0; token < segment.tokens; ++token)
      for (std::int64_t head = 0; head < parameters_.heads; ++head) {
        float* query = by_head.data() + (head * segment.tokens + token) * dim;
        rms_norm({queries.row(token) + head * dim, weights_.ones.size()}, weights_.ones,
                 parameters_.norm_epsilon, query);
        table.rotate(query + dim - parameters_.rotated_dim, segment.first_position + token);
        std::for_each(query, query + dim, [scale](float& value) { value *= scale; });
      }
    return by_head;
  }

  void turn_back(const Segment& segment, const RopeTable& table, const Matrix& mixed) const {
    const std::int64_t dim = parameters_.head_dim, rotated = parameters_.rotated_dim;
    for (std::int64_t token = 0; token < segment.tokens; ++token)
      for (std::int64_t head = 0; head < parameters_.heads; ++head) {
        float* end = mixed.row(token) + (head + 1) * dim;
        table.rotate_back(end - rotated, segment.first_position + token);
        interleave(end - rotated, rotated);
      }
  }

  CompressedAttentionParameters parameters_;
  std::shared_ptr<Rope> rope_;
  AttentionWeights weights_;
};

void load_compressors(const CompressedAttentionParameters& parameters,
                      const Checkpoint& weights,
                      const std::string& prefix,
                      AttentionWeights& into) {
  if (parameters.compression == Compression::none) return;
  const bool sparse = parameters.compression == Compression::sparse;
  CompressorParameters compressor{
      parameters.hidden,      parameters.head_dim, parameters.ratio, parameters.rotated_dim, sparse,
      parameters.norm_epsilon};
  into.compressor.emplace(compressor, weights, prefix + "compressor.");
  if (!sparse) return;
  compressor.head_dim = parameters.index_head_dim;
  into.index_compressor.emplace(compressor, weights, prefix + "indexer.compressor.");
  into.index_query_up =
      weights.matrix(prefix + "indexer.wq_b.weight",
                     parameters.index_heads * parameters.index_head_dim, parameters.query_rank);
  into.index_weights = weights.matrix(prefix + "indexer.weights_proj.weight",
                                      parameters.index_heads, parameters.hidden);
}

}  // namespace

std::unique_ptr<Mixer> load_compressed_attention(const CompressedAttentionParameters& parameters,
                                                 std::shared_ptr<Rope> rope,
                                                 const Checkpoint& weights,
                                                 const std::string& prefix) {
  const std::int64_t width = parameters.heads * parameters.head_dim;
  const std::int64_t latent = parameters.output_groups * parameters.output_rank;
  const auto matrix = [&](const char* name, std::int64_t rows, std::int64_t columns) {
    return weights.matrix(prefix + name + ".weight", rows, columns);
  };
  AttentionWeights loaded;
  loaded.query_down = matrix("wq_a", parameters.query_rank, parameters.hidden);
  loaded.query_norm =
      load_rms_norm(weights, prefix + "q_norm", parameters.query_rank, parameters.norm_epsilon);
  loaded.query_up = matrix("wq_b", width, parameters.query_rank);
  loaded.key = matrix("wkv", parameters.head_dim, parameters.hidden);
  loaded.key_norm =
      load_rms_norm(weights, prefix + "kv_norm", parameters.head_dim, parameters.norm_epsilon);
  loaded.sinks = weights.vector(prefix + "attn_sink", parameters.heads);
  loaded.ones.assign(static_cast<std::size_t>(parameters.head_dim), 1.0F);
  loaded.output_down = matrix("wo_a", latent, width / parameters.output_groups);
  loaded.output_up = matrix("wo_b", parameters.hidden, latent);
  load_compressors(parameters, weights, prefix, loaded);
  return std::make_unique<CompressedAttention>(parameters, std::move(rope), std::move(loaded));
}

}  // namespace moesim
