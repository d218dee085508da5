// Masks of chosen keys and the scoring of a lightning indexer.
#include "workloads/forward/key_selection.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace moesim {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// scores[k] = sum over heads of weight * max(0, query . key); spare has room for heads x keys.
void score_keys(const IndexQueries& index,
                std::int64_t token,
                std::span<float> scores,
                Floats& spare) {
  const std::int64_t heads = index.weights.columns, size = index.keys.columns;
  const auto count = static_cast<std::int64_t>(scores.size());
  const Matrix products{at_least(spare, static_cast<std::size_t>(heads * count)), heads, count,
                        count};
  product_transposed({index.queries.row(token), heads, size, size}, index.keys.part(0, count),
                     products);
  std::fill(scores.begin(), scores.end(), 0.0F);
  for (std::int64_t head = 0; head < heads; ++head) {
    const float weight = index.weights.row(token)[head];
    const float* of_head = products.row(head);
    for (std::size_t key = 0; key < scores.size(); ++key)
      scores[key] += weight * std::max(of_head[key], 0.0F);
  }
}

}  // namespace

void KeyMask::hide(std::int64_t token,
                   std::int64_t group,
                   std::int64_t first_key,
                   std::span<float> scores) const {
  std::int64_t key = first_key;
  for (float& score : scores)
    if (!sees(token, group, key++)) score = kHidden;
}

std::unique_ptr<PartState> new_selecting_state(const KeySelector* selector) {
  auto state = std::make_unique<SelectingState>();
  if (selector != nullptr) state->selector = selector->new_state();
  return state;
}

AttentionRules with_selection(AttentionRules rules,
                              const Segment& segment,
                              std::int64_t heads,
                              const SelectingState& state) {
  if (state.mask.empty()) return rules;
  const std::int64_t heads_a_group = heads / state.mask.groups();
  rules.adjust = [&state, heads_a_group, first = segment.first_position](
                     std::int64_t head, std::int64_t position, std::int64_t first_key,
                     std::span<float> scores) {
    state.mask.hide(position - first, head / heads_a_group, first_key, scores);
  };
  return rules;
}

void mark_largest(std::span<const float> scores,
                  std::int64_t top_k,
                  std::span<std::uint8_t> chosen) {
  if (static_cast<std::size_t>(top_k) >= scores.size()) {
    std::fill_n(chosen.begin(), scores.size(), std::uint8_t{1});
    return;
  }
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [scores](std::int32_t a, std::int32_t b) {
    const float left = scores[static_cast<std::size_t>(a)];
    const float right = scores[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::nth_element(order.begin(), order.begin() + top_k, order.end(), better);
  for (std::int64_t i = 0; i < top_k; ++i)
    chosen[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = 1;
}

KeyMask choose_keys(ThreadPool& pool, const IndexQueries& index) {
  const std::int64_t tokens = index.queries.rows;
  KeyMask mask(tokens, 1, index.keys.rows, 1);
  const double flops = 2.0 * static_cast<double>(tokens * index.queries.columns) *
                       static_cast<double>(index.keys.rows);
  pool.run(static_cast<std::size_t>(tokens), flops, [&](std::size_t task, Scratch& scratch) {
    const auto token = static_cast<std::int64_t>(task);
    const std::int64_t visible = index.visible(token);
    const auto count = static_cast<std::size_t>(visible);
    const std::span<std::uint8_t> chosen = mask.row(token, 0);
    if (visible <= index.top_k) {
      std::fill_n(chosen.begin(), count, std::uint8_t{1});
      return;
    }
    const std::span<float> scores{at_least(scratch.rows, count), count};
    score_keys(index, token, scores, scratch.inner);
    mark_largest(scores, index.top_k, chosen);
  });
  return mask;
}

}  // namespace moesim
