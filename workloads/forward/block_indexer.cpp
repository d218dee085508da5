// Index keys, scores of blocks, and the choice of the best blocks.
#include "workloads/forward/block_indexer.h"

#include <algorithm>
#include <limits>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

constexpr float kAlways = std::numeric_limits<float>::infinity();

struct BlockIndexState : PartState {
  Floats keys;  // [positions][head_dim], normed and rotated
};

class BlockIndexer : public KeySelector {
 public:
  BlockIndexer(const BlockIndexerParameters& parameters,
               std::shared_ptr<Rope> rope,
               const Checkpoint& weights,
               const std::string& prefix)
      : parameters_(parameters), rope_(std::move(rope)) {
    const std::int64_t dim = parameters.head_dim, width = parameters.heads * dim;
    projections_ = weights.stacked({{.name = prefix + "index_q_proj.weight", .rows = width},
                                    {.name = prefix + "index_k_proj.weight", .rows = dim}},
                                   parameters.hidden);
    const auto norm = [&](const char* name) {
      return load_rms_norm(weights, prefix + name, dim, parameters.norm_epsilon,
                           parameters.norm_offset);
    };
    query_norm_ = norm("index_q_norm");
    key_norm_ = norm("index_k_norm");
  }

  std::unique_ptr<PartState> new_state() const override {
    return std::make_unique<BlockIndexState>();
  }

  void select(const ForwardStep& step,
              const ConstMatrix& x,
              const ConstMatrix&,
              PartStates states) const override {
    const Rows projected(step.tokens, projections_->rows());
    linear(step.pool, x, *projections_, nullptr, projected.view);
    for (std::size_t i = 0; i < states.size(); ++i) {
      auto& state = static_cast<SelectingState&>(*states[i]);
      const Segment& segment = step.segments[i];
      state.mask =
          select_segment(step.pool, segment, projected.view.part(segment.first_row, segment.tokens),
                         static_cast<BlockIndexState&>(*state.selector));
    }
  }

 private:
  KeyMask select_segment(ThreadPool& pool,
                         const Segment& segment,
                         const Matrix& projected,
                         BlockIndexState& state) const {
    const std::int64_t dim = parameters_.head_dim, end = segment.end_position();
    const auto table = rope_->table(segment.call_length);
    state.keys.resize(static_cast<std::size_t>(end * dim));
    for (std::int64_t token = 0; token < segment.tokens; ++token) {
      float* heads = projected.row(token);
      for (std::int64_t head = 0; head <= parameters_.heads; ++head) {  // the key comes last
        const Norm& norm = head < parameters_.heads ? query_norm_ : key_norm_;
        const Matrix one{heads + head * dim, 1, dim, dim};
        norm.apply(one.read(), one);
        table->rotate(one.data, segment.first_position + token);
      }
      std::copy_n(heads + parameters_.heads * dim, dim,
                  state.keys.data() + (segment.first_position + token) * dim);
    }
    const std::int64_t blocks = (end + parameters_.block_size - 1) / parameters_.block_size;
    if (blocks <= parameters_.top_k) return {};  // all of them
    KeyMask mask(segment.tokens, parameters_.heads, blocks, parameters_.block_size);
    const ConstMatrix keys{state.keys.data(), end, dim, dim};
    const double flops = 2.0 * static_cast<double>(segment.tokens * projected.columns * end);
    pool.run(
        static_cast<std::size_t>(segment.tokens), flops, [&](std::size_t task, Scratch& scratch) {
          const auto token = static_cast<std::int64_t>(task);
          choose_blocks(projected.row(token), keys, segment.first_position + token, scratch.rows,
                        [&](std::int64_t head) { return mask.row(token, head); });
        });
    return mask;
  }

  // All index heads of the query at `position`.
  void choose_blocks(const float* query,
                     const ConstMatrix& keys,
                     std::int64_t position,
                     Floats& spare,
                     const std::function<std::span<std::uint8_t>(std::int64_t)>& row) const {
    const std::int64_t seen = position + 1, size = parameters_.block_size;
    const Matrix scores{at_least(spare, static_cast<std::size_t>(parameters_.heads * seen)),
                        parameters_.heads, seen, seen};
    product_transposed({query, parameters_.heads, keys.columns, keys.columns}, keys.part(0, seen),
                       scores);
    const std::int64_t own = position / size;
    std::vector<float> of_block(static_cast<std::size_t>(own + 1));
    for (std::int64_t head = 0; head < parameters_.heads; ++head) {
      const float* score = scores.row(head);
      for (std::int64_t block = 0; block <= own; ++block) {
        const bool kept =
            block < parameters_.first_blocks || block > own - parameters_.local_blocks;
        float best =
            *std::max_element(score + block * size, score + std::min((block + 1) * size, seen));
        if (kept) best = kAlways;
        of_block[static_cast<std::size_t>(block)] = best;
      }
      mark_largest(of_block, parameters_.top_k, row(head));
    }
  }

  BlockIndexerParameters parameters_;
  std::shared_ptr<Rope> rope_;
  std::shared_ptr<const Weight> projections_;  // [query heads, then the key][hidden]
  Norm query_norm_, key_norm_;
};

}  // namespace

std::shared_ptr<const KeySelector> load_block_indexer(const BlockIndexerParameters& parameters,
                                                      std::shared_ptr<Rope> rope,
                                                      const Checkpoint& weights,
                                                      const std::string& prefix) {
  return std::make_shared<const BlockIndexer>(parameters, std::move(rope), weights, prefix);
}

}  // namespace moesim
