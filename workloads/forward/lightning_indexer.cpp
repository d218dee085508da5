// Index keys and queries, and the choice of the keys with the best scores.
#include "workloads/forward/lightning_indexer.h"

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

constexpr float kKeyNormEpsilon = 1e-6F;  // fixed in the hub's class

struct IndexState : PartState {
  Floats keys;  // [positions][head_dim], normed and rotated
};

class LightningIndexer : public KeySelector {
 public:
  LightningIndexer(const IndexerParameters& parameters,
                   std::shared_ptr<Rope> rope,
                   std::shared_ptr<LastChoice> last,
                   const Checkpoint& weights,
                   const std::string& prefix)
      : parameters_(parameters), rope_(std::move(rope)), last_(std::move(last)) {
    const std::int64_t dim = parameters.head_dim;
    query_up_ =
        weights.matrix(prefix + "wq_b.weight", parameters.heads * dim, parameters.query_rank);
    key_ = weights.matrix(prefix + "wk.weight", dim, parameters.hidden);
    key_norm_ = load_layer_norm(weights, prefix + "k_norm", dim, kKeyNormEpsilon);
    head_weights_ =
        weights.matrix(prefix + "weights_proj.weight", parameters.heads, parameters.hidden);
    scale_ = static_cast<float>(1 / std::sqrt(static_cast<double>(dim * parameters.heads)));
  }

  std::unique_ptr<PartState> new_state() const override { return std::make_unique<IndexState>(); }

  void select(const ForwardStep& step,
              const ConstMatrix& x,
              const ConstMatrix& query_latent,
              PartStates states) const override {
    const std::int64_t dim = parameters_.head_dim;
    const Rows queries(step.tokens, parameters_.heads * dim), keys(step.tokens, dim),
        head_weights(step.tokens, parameters_.heads);
    linear(step.pool, query_latent, *query_up_, nullptr, queries.view);
    linear(step.pool, x, *key_, nullptr, keys.view);
    linear(step.pool, x, *head_weights_, nullptr, head_weights.view);
    key_norm_.apply(keys.read(), keys.view);
    if (last_) last_->clear();
    for (std::size_t i = 0; i < states.size(); ++i) {
      auto& state = static_cast<SelectingState&>(*states[i]);
      const Segment& segment = step.segments[i];
      const auto of = [&](const Rows& rows) {
        return rows.view.part(segment.first_row, segment.tokens);
      };
      state.mask = select_segment(step.pool, segment, {of(queries), of(keys), of(head_weights)},
                                  static_cast<IndexState&>(*state.selector));
      if (last_) last_->push_back(state.mask);
    }
  }

 private:
  struct Projected {
    Matrix queries, keys, head_weights;  // of one segment
  };

  KeyMask select_segment(ThreadPool& pool,
                         const Segment& segment,
                         const Projected& projected,
                         IndexState& state) const {
    const std::int64_t dim = parameters_.head_dim, end = segment.end_position();
    const auto table = rope_->table(segment.call_length);
    state.keys.resize(static_cast<std::size_t>(end * dim));
    for (std::int64_t token = 0; token < segment.tokens; ++token) {
      const std::int64_t position = segment.first_position + token;
      float* key = std::copy_n(projected.keys.row(token), dim, state.keys.data() + position * dim);
      table->rotate(key - dim, position);
    }
    if (end <= parameters_.top_k) return {};  // all of them
    for (std::int64_t token = 0; token < segment.tokens; ++token) {
      float* query = projected.queries.row(token);
      for (std::int64_t head = 0; head < parameters_.heads; ++head)
        table->rotate(query + head * dim, segment.first_position + token);
      float* head_weights = projected.head_weights.row(token);
      std::for_each(head_weights, head_weights + parameters_.heads,
                    [this](float& weight) { weight *= scale_; });
    }
    return choose_keys(pool,
                       {projected.queries.read(),
                        projected.head_weights.read(),
                        {state.keys.data(), end, dim, dim},
                        parameters_.top_k,
                        [&](std::int64_t token) { return segment.first_position + token + 1; }});
  }

  IndexerParameters parameters_;
  std::shared_ptr<Rope> rope_;
  std::shared_ptr<LastChoice> last_;  // null: no layer takes the choice over
  std::shared_ptr<const Weight> query_up_, key_, head_weights_;
  Norm key_norm_;
  float scale_ = 1;  // of products and head weights together; positive, so that max(0, .) commutes
};

class SharedChoice : public KeySelector {
 public:
  explicit SharedChoice(std::shared_ptr<const LastChoice> last) : last_(std::move(last)) {}
  std::unique_ptr<PartState> new_state() const override { return nullptr; }
  void select(const ForwardStep&,
              const ConstMatrix&,
              const ConstMatrix&,
              PartStates states) const override {
    for (std::size_t i = 0; i < states.size(); ++i)
      static_cast<SelectingState&>(*states[i]).mask = (*last_)[i];
  }

 private:
  std::shared_ptr<const LastChoice> last_;
};

}  // namespace

std::shared_ptr<const KeySelector> load_lightning_indexer(const IndexerParameters& parameters,
                                                          std::shared_ptr<Rope> rope,
                                                          std::shared_ptr<LastChoice> last,
                                                          const Checkpoint& weights,
                                                          const std::string& prefix) {
  return std::make_shared<const LightningIndexer>(parameters, std::move(rope), std::move(last),
                                                  weights, prefix);
}

std::shared_ptr<const KeySelector> make_shared_choice(std::shared_ptr<const LastChoice> last) {
  return std::make_shared<const SharedChoice>(std::move(last));
}

}  // namespace moesim
