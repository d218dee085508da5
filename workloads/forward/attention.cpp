// Attention tile by tile: a block of one head's queries against all the keys it may see.
#include "workloads/forward/attention.h"

#include <algorithm>
#include <limits>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

constexpr std::int64_t kTileRows = 64;

// Keys first .. end of the cache: what the query at `position` may see.
struct Seen {
  std::int64_t first, end;
};

Seen seen_keys(const AttentionRules& rules, std::int64_t position, std::int64_t all) {
  Seen seen{0, rules.causal ? position + 1 : all};
  if (rules.window > 0) seen.first = std::max(seen.first, position + 1 - rules.window);
  if (rules.chunk > 0) seen.first = std::max(seen.first, position / rules.chunk * rules.chunk);
  return seen;
}

// Softmax of one row that may share its mass with a sink: the sink is put beside the row for the
// time of the softmax, so scores must have room for one more.
void softmax_with_sink(float* scores,
                       std::int64_t count,
                       std::span<const float> sinks,
                       std::int64_t head) {
  const auto size = static_cast<std::size_t>(count);
  if (sinks.empty()) {
    softmax({scores, size});
    return;
  }
  const float beside = scores[count];
  scores[count] = sinks[static_cast<std::size_t>(head)];
  softmax({scores, size + 1});
  scores[count] = beside;
}

struct HeadTile {
  std::int64_t head, first, rows;  // query rows of the segment
};

class AttendTask {
 public:
  AttendTask(const Segment& segment,
             const HeadShape& shape,
             const AttentionRules& rules,
             const float* queries,
             const KeyValueState& state)
      : segment_(segment), shape_(shape), rules_(rules), queries_(queries), state_(state) {
    const std::int64_t width = shape.kv_heads * shape.key_dim;
    cached_ = static_cast<std::int64_t>(state.keys.size()) / width;
  }

  void run(const HeadTile& tile, const Matrix& out, Scratch& scratch) const {
    const std::int64_t last = segment_.first_position + tile.first + tile.rows - 1;
    const Seen widest{seen_keys(rules_, last - tile.rows + 1, cached_).first,
                      seen_keys(rules_, last, cached_).end};
    const std::int64_t keys = widest.end - widest.first, stride = keys + 1;
    const std::int64_t kv_head = tile.head / (shape_.heads / shape_.kv_heads);
    const std::int64_t key_stride = shape_.kv_heads * shape_.key_dim;
    const std::int64_t value_stride = shape_.kv_heads * shape_.value_dim;
    const ConstMatrix query{queries_ + (tile.head * segment_.tokens + tile.first) * shape_.key_dim,
                            tile.rows, shape_.key_dim, shape_.key_dim};
    const ConstMatrix key{state_.keys.data() + widest.first * key_stride + kv_head * shape_.key_dim,
                          keys, shape_.key_dim, key_stride};
    const ConstMatrix value{
        state_.values.data() + widest.first * value_stride + kv_head * shape_.value_dim, keys,
        shape_.value_dim, value_stride};
    float* scores = at_least(scratch.rows, static_cast<std::size_t>(tile.rows * stride));
    product_transposed(query, key, {scores, tile.rows, keys, stride});
    for (std::int64_t row = 0; row < tile.rows; ++row)
      weigh(tile.head, segment_.first_position + tile.first + row, widest, scores + row * stride);
    product({scores, tile.rows, keys, stride}, value,
            {out.row(tile.first) + tile.head * shape_.value_dim, tile.rows, shape_.value_dim,
             out.stride});
  }

 private:
  // Turns one query's scores over the tile's keys into weights.
  void weigh(std::int64_t head, std::int64_t position, const Seen& widest, float* scores) const {
    const Seen seen = seen_keys(rules_, position, cached_);
    float* first = scores + (seen.first - widest.first);
    const std::int64_t count = seen.end - seen.first;
    if (rules_.adjust)
      rules_.adjust(head, position, seen.first, {first, static_cast<std::size_t>(count)});
    softmax_with_sink(first, count, rules_.sinks, head);
    std::fill(scores, first, 0.0F);
    std::fill(first + count, scores + (widest.end - widest.first), 0.0F);
  }

  const Segment& segment_;
  const HeadShape& shape_;
  const AttentionRules& rules_;
  const float* queries_;
  const KeyValueState& state_;
  std::int64_t cached_ = 0;
};

}  // namespace

void attend(ThreadPool& pool,
            const Segment& segment,
            const HeadShape& shape,
            const AttentionRules& rules,
            const float* queries,
            const KeyValueState& state,
            const Matrix& out) {
  const std::int64_t tiles = (segment.tokens + kTileRows - 1) / kTileRows;
  const AttendTask task(segment, shape, rules, queries, state);
  const double flops =
      2.0 * static_cast<double>(shape.heads * segment.tokens) *
      static_cast<double>(segment.end_position() * (shape.key_dim + shape.value_dim));
  pool.run(static_cast<std::size_t>(tiles * shape.heads), flops,
           [&](std::size_t index, Scratch& scratch) {
             // The last tiles see the most keys: they go first, so that no thread ends late.
             const std::int64_t tile = tiles - 1 - static_cast<std::int64_t>(index) / shape.heads;
             const std::int64_t first = tile * kTileRows;
             task.run({static_cast<std::int64_t>(index) % shape.heads, first,
                       std::min(kTileRows, segment.tokens - first)},
                      out, scratch);
           });
}

}  // namespace moesim
