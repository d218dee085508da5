// The mixture of experts: route every token, gather the copies of each expert, run the experts, and
// add each token's results in the order of its choices, so that sums do not depend on threads.
#include "workloads/forward/moe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

constexpr std::int64_t kTileRows = 128;  // of one expert's token copies

constexpr std::int64_t kNoRow = -1;

// Token copies sorted by expert: copy c = token * top_k + choice lies in row_of_copy[c]; copies
// that no expert works on (not routed, zero-computation experts) have kNoRow.
struct Grouping {
  std::vector<std::int64_t> first_row;  // [experts + 1]
  std::vector<std::int64_t> row_of_copy, copy_of_row;
};

Grouping group_by_expert(std::span<const std::uint16_t> copies, std::size_t experts) {
  Grouping grouping;
  grouping.first_row.assign(experts + 1, 0);
  for (const std::uint16_t expert : copies)
    if (expert < experts) ++grouping.first_row[expert + 1U];
  std::partial_sum(grouping.first_row.begin(), grouping.first_row.end(),
                   grouping.first_row.begin());
  std::vector<std::int64_t> next(grouping.first_row);
  grouping.row_of_copy.assign(copies.size(), kNoRow);
  grouping.copy_of_row.resize(static_cast<std::size_t>(grouping.first_row.back()));
  for (std::size_t copy = 0; copy < copies.size(); ++copy) {
    if (copies[copy] >= experts) continue;
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
    parameters_.routing.token_experts = weights_.token_experts;
  }
  MoeFeedForward(const MoeFeedForward&) = delete;  // routing points into weights_
  MoeFeedForward& operator=(const MoeFeedForward&) = delete;

  bool routed() const override { return true; }

  void run(const ForwardStep& step,
           const ConstMatrix& x,
           const Matrix& out,
           RoutingSink& sink) const override {
    LayerRouting& routing = sink.routing;
    const auto copies = static_cast<std::size_t>(step.tokens * parameters_.top_k);
    const std::size_t before = routing.experts.size();
    route(step, x, routing);
    if (sink.router_only) return;
    const Choice choice{{routing.experts.data() + before, copies}, routing.weights.data() + before};
    run_shared(step, x, out);
    if (weights_.latent_down) {
      Rows inside(x.rows, weights_.latent_down->rows()), mixed(x.rows, inside.view.columns);
      linear(step.pool, x, *weights_.latent_down, nullptr, inside.view);
      std::fill(mixed.values.begin(), mixed.values.end(), 0.0F);
      run_routed(step, inside.read(), choice, mixed.view);
      Rows outside(x.rows, x.columns);
      linear(step.pool, mixed.read(), *weights_.latent_up, nullptr, outside.view);
      for (std::int64_t row = 0; row < x.rows; ++row)
        add_scaled(row_of(outside.view, row), 1, out.row(row));
    } else {
      run_routed(step, x, choice, out);
    }
    if (!sink.keep_blocks) return;
    append(x, routing.input);
    append(out.read(), routing.output);
  }

 private:
  struct Choice {
    std::span<const std::uint16_t> experts;
    const float* weights;
  };

  static std::span<const float> row_of(const Matrix& rows, std::int64_t row) {
    return {rows.row(row), static_cast<std::size_t>(rows.columns)};
  }

  static void append(const ConstMatrix& rows, std::vector<float>& to) {
    for (std::int64_t row = 0; row < rows.rows; ++row)
      to.insert(to.end(), rows.row(row), rows.row(row) + rows.columns);
  }

  void route(const ForwardStep& step, const ConstMatrix& x, LayerRouting& routing) const {
    const std::int64_t columns = weights_.router->rows();
    const std::size_t logits_before = routing.router_logits.size();
    const std::size_t before = routing.experts.size();
    routing.router_logits.resize(logits_before + static_cast<std::size_t>(step.tokens * columns));
    routing.experts.resize(before + static_cast<std::size_t>(step.tokens * parameters_.top_k));
    routing.weights.resize(routing.experts.size());
    float* logits = routing.router_logits.data() + logits_before;
    linear(step.pool, x, *weights_.router, data_or_null(weights_.router_bias),
           {logits, step.tokens, columns, columns});
    std::uint16_t* experts = routing.experts.data() + before;
    float* weights = routing.weights.data() + before;
    if (parameters_.router.route_sequence != nullptr)
      route_sequences(step, logits, experts, weights);
    else
      route_tokens(step, logits, experts, weights);
  }

  void route_tokens(const ForwardStep& step,
                    const float* logits,
                    std::uint16_t* experts,
                    float* weights) const {
    const std::int64_t columns = weights_.router->rows();
    const auto k = static_cast<std::size_t>(parameters_.top_k);
    const double flops = 30.0 * static_cast<double>(step.tokens * columns);
    for_rows(step.pool, step.tokens, flops, [&](std::int64_t token) {
      const std::size_t at = static_cast<std::size_t>(token) * k;
      parameters_.router.route({logits + token * columns, static_cast<std::size_t>(columns)},
                               parameters_.routing, {experts + at, k}, {weights + at, k});
    });
  }

  // Each segment alone: another request in the same step changes nothing.
  void route_sequences(const ForwardStep& step,
                       const float* logits,
                       std::uint16_t* experts,
                       float* weights) const {
    const std::int64_t columns = weights_.router->rows(), top_k = parameters_.top_k;
    for (const Segment& segment : step.segments) {
      const auto tokens = static_cast<std::size_t>(segment.tokens);
      const std::size_t copies = tokens * static_cast<std::size_t>(top_k);
      const std::span<const float> rows{logits + segment.first_row * columns,
                                        tokens * static_cast<std::size_t>(columns)};
      const auto first = static_cast<std::size_t>(segment.first_row);
      parameters_.router.route_sequence(
          {rows, segment.tokens, step.token_ids.subspan(first, tokens)}, parameters_.routing,
          {experts + segment.first_row * top_k, copies},
          {weights + segment.first_row * top_k, copies});
    }
  }

  void run_shared(const ForwardStep& step, const ConstMatrix& x, const Matrix& out) const {
    if (!weights_.shared.down) {
      for (std::int64_t row = 0; row < x.rows; ++row) std::fill_n(out.row(row), out.columns, 0.0F);
      return;
    }
    run_network(step.pool, weights_.shared, x, out);
    if (!weights_.shared_gate) return;
    Rows gate(x.rows, 1);
    linear(step.pool, x, *weights_.shared_gate, nullptr, gate.view);
    for (std::int64_t row = 0; row < x.rows; ++row) {
      const float share = 1.0F / (1.0F + std::exp(-*gate.view.row(row)));
      std::for_each(out.row(row), out.row(row) + out.columns, [&](float& v) { v *= share; });
    }
  }

  // Adds the routed experts' results to `out`.
  void run_routed(const ForwardStep& step,
                  const ConstMatrix& x,
                  const Choice& choice,
                  const Matrix& out) const {
    const Grouping grouping =
        group_by_expert(choice.experts, static_cast<std::size_t>(parameters_.experts));
    Floats results(grouping.copy_of_row.size() * static_cast<std::size_t>(x.columns));
    run_experts(step, x, choice, grouping, results.data());
    combine(step, x, choice, grouping, results.data(), out);
  }

  // results [copies with a row][columns of x], in the order of the grouping's rows.
  void run_experts(const ForwardStep& step,
                   const ConstMatrix& x,
                   const Choice& choice,
                   const Grouping& grouping,
                   float* results) const {
    const std::int64_t size = x.columns;
    const std::vector<ExpertTile> tiles = cut_tiles(grouping);
    const double flops = 6.0 * static_cast<double>(grouping.copy_of_row.size()) *
                         static_cast<double>(size * parameters_.width);
    step.pool.run(tiles.size(), flops, [&](std::size_t index, Scratch& scratch) {
      const ExpertTile& tile = tiles[index];
      float* rows = at_least(scratch.rows, static_cast<std::size_t>(tile.rows * size));
      for (std::int64_t row = 0; row < tile.rows; ++row) {
        const std::int64_t copy = grouping.copy_of_row[static_cast<std::size_t>(tile.first + row)];
        const float scale = parameters_.router.scales_input ? choice.weights[copy] : 1.0F;
        std::transform(x.row(copy / parameters_.top_k), x.row(copy / parameters_.top_k) + size,
                       rows + row * size, [scale](float value) { return value * scale; });
      }
      run_network_here(weights_.experts[tile.expert], {rows, tile.rows, size, size},
                       {results + tile.first * size, tile.rows, size, size}, scratch);
    });
  }

  void combine(const ForwardStep& step,
               const ConstMatrix& x,
               const Choice& choice,
               const Grouping& grouping,
               const float* results,
               const Matrix& out) const {
    const std::int64_t top_k = parameters_.top_k;
    const auto size = static_cast<std::size_t>(x.columns);
    const double flops = 4.0 * static_cast<double>(choice.experts.size() * size);
    for_rows(step.pool, step.tokens, flops, [&](std::int64_t token) {
      for (std::int64_t copy = token * top_k; copy < (token + 1) * top_k; ++copy) {
        const auto at = static_cast<std::size_t>(copy);
        const std::int64_t row = grouping.row_of_copy[at];
        const float weight = parameters_.router.scales_input ? 1.0F : choice.weights[copy];
        if (row != kNoRow)
          add_scaled({results + row * x.columns, size}, weight, out.row(token));
        else if (choice.experts[at] != kNotRouted)  // a zero-computation expert
          add_scaled({x.row(token), size}, weight, out.row(token));
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
