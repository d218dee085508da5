// The mixture of experts: route every token, gather the copies of each expert, run the experts, and
// add each token's results in the order of its choices, so that sums do not depend on threads.
#include <algorithm>
#include <numeric>

#include "workloads/forward/feed_forward.h"
#include "workloads/forward/gated.h"
#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

constexpr std::int64_t kTileRows = 128;   // of one expert's token copies
constexpr std::int64_t kTileTokens = 16;  // routed or combined by one thread

// Token copies sorted by expert: copy c = token * top_k + choice lies in row_of_copy[c].
struct Grouping {
  std::vector<std::int64_t> first_row;  // [experts + 1]
  std::vector<std::int64_t> row_of_copy, copy_of_row;
};

Grouping group_by_expert(std::span<const std::uint16_t> copies, std::size_t experts) {
  Grouping grouping;
  grouping.first_row.assign(experts + 1, 0);
  for (const std::uint16_t expert : copies) ++grouping.first_row[expert + 1U];
  std::partial_sum(grouping.first_row.begin(), grouping.first_row.end(),
                   grouping.first_row.begin());
  std::vector<std::int64_t> next(grouping.first_row);
  grouping.row_of_copy.resize(copies.size());
  grouping.copy_of_row.resize(copies.size());
  for (std::size_t copy = 0; copy < copies.size(); ++copy) {
    const std::int64_t row = next[copies[copy]]++;
    grouping.row_of_copy[copy] = row;
    grouping.copy_of_row[static_cast<std::size_t>(row)] = static_cast<std::int64_t>(copy);
  }
  return grouping;
}

struct ExpertTile {
  std::size_t expert;
  std::int64_t first, rows;
};

std::vector<ExpertTile> cut_tiles(const Grouping& grouping) {
  std::vector<ExpertTile> tiles;
  for (std::size_t expert = 0; expert + 1 < grouping.first_row.size(); ++expert)
    for (std::int64_t row = grouping.first_row[expert]; row < grouping.first_row[expert + 1];
         row += kTileRows)
      tiles.push_back({expert, row, std::min(kTileRows, grouping.first_row[expert + 1] - row)});
  return tiles;
}

class MoeFeedForward : public FeedForward {
 public:
  MoeFeedForward(const MoeParameters& parameters, MoeWeights weights)
      : parameters_(parameters), weights_(std::move(weights)) {
    parameters_.routing.correction_bias = weights_.correction_bias;
  }
  MoeFeedForward(const MoeFeedForward&) = delete;  // routing points into weights_
  MoeFeedForward& operator=(const MoeFeedForward&) = delete;

  bool routed() const override { return true; }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           LayerRouting& routing) const override {
    const std::size_t copies = static_cast<std::size_t>(step.tokens * parameters_.top_k);
    const std::size_t before = routing.experts.size();
    route(step, x, routing);
    const Grouping grouping = group_by_expert({routing.experts.data() + before, copies},
                                              static_cast<std::size_t>(parameters_.experts));
    Floats results(copies * static_cast<std::size_t>(parameters_.hidden));
    run_experts(step, x, grouping, results.data());
    if (weights_.shared.down)
      run_gated(step, weights_.shared, x, out);
    else
      for (std::int64_t token = 0; token < step.tokens; ++token)
        std::fill_n(out.row(token), parameters_.hidden, 0.0F);
    combine(step, grouping, results.data(), routing.weights.data() + before, out);
  }

 private:
  void for_tokens(const ForwardStep& step,
                  double flops,
                  const std::function<void(std::int64_t token)>& task) const {
    step.pool.run(static_cast<std::size_t>((step.tokens + kTileTokens - 1) / kTileTokens), flops,
                  [&](std::size_t tile, Scratch&) {
                    const std::int64_t first = static_cast<std::int64_t>(tile) * kTileTokens;
                    const std::int64_t end = std::min(first + kTileTokens, step.tokens);
                    for (std::int64_t token = first; token < end; ++token) task(token);
                  });
  }

  void route(const ForwardStep& step, const ConstMatrix& x, LayerRouting& routing) const {
    const std::int64_t experts = parameters_.experts, top_k = parameters_.top_k;
    const std::size_t logits_before = routing.router_logits.size();
    const std::size_t before = routing.experts.size();
    routing.router_logits.resize(logits_before + static_cast<std::size_t>(step.tokens * experts));
    routing.experts.resize(before + static_cast<std::size_t>(step.tokens * top_k));
    routing.weights.resize(routing.experts.size());
    float* logits = routing.router_logits.data() + logits_before;
    linear(step.pool, x, *weights_.router, nullptr, {logits, step.tokens, experts, experts});
    for_tokens(step, 30.0 * static_cast<double>(step.tokens * experts), [&](std::int64_t token) {
      const std::size_t at = before + static_cast<std::size_t>(token * top_k);
      const auto k = static_cast<std::size_t>(top_k);
      parameters_.router.route({logits + token * experts, static_cast<std::size_t>(experts)},
                               parameters_.routing, {routing.experts.data() + at, k},
                               {routing.weights.data() + at, k});
    });
  }

  // results [copies][hidden], in the order of the grouping's rows.
  void run_experts(const ForwardStep& step,
                   const ConstMatrix& x,
                   const Grouping& grouping,
                   float* results) const {
    const std::int64_t hidden = parameters_.hidden;
    const std::vector<ExpertTile> tiles = cut_tiles(grouping);
    const double flops = 6.0 * static_cast<double>(grouping.row_of_copy.size()) *
                         static_cast<double>(hidden * parameters_.width);
    step.pool.run(tiles.size(), flops, [&](std::size_t index, Scratch& scratch) {
      const ExpertTile& tile = tiles[index];
      float* rows = at_least(scratch.rows, static_cast<std::size_t>(tile.rows * hidden));
      for (std::int64_t row = 0; row < tile.rows; ++row) {
        const std::int64_t copy = grouping.copy_of_row[static_cast<std::size_t>(tile.first + row)];
        std::copy_n(x.row(copy / parameters_.top_k), hidden, rows + row * hidden);
      }
      run_gated_here(weights_.experts[tile.expert], {rows, tile.rows, hidden, hidden},
                     {results + tile.first * hidden, tile.rows, hidden, hidden}, scratch);
    });
  }

  void combine(const ForwardStep& step,
               const Grouping& grouping,
               const float* results,
               const float* weights,
               const Matrix& out) const {
    const std::int64_t hidden = parameters_.hidden, top_k = parameters_.top_k;
    const double flops = 4.0 * static_cast<double>(step.tokens * top_k * hidden);
    for_tokens(step, flops, [&](std::int64_t token) {
      for (std::int64_t copy = token * top_k; copy < (token + 1) * top_k; ++copy) {
        const std::int64_t row = grouping.row_of_copy[static_cast<std::size_t>(copy)];
        add_scaled({results + row * hidden, static_cast<std::size_t>(hidden)}, weights[copy],
                   out.row(token));
      }
    });
  }

  MoeParameters parameters_;
  MoeWeights weights_;
};

}  // namespace

std::unique_ptr<FeedForward> make_moe(const MoeParameters& parameters, MoeWeights weights) {
  return std::make_unique<MoeFeedForward>(parameters, std::move(weights));
}

}  // namespace moesim
