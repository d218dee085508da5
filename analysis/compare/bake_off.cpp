// Windows are paired: both plans replay the same tokens in each, so a win is not luck of the draw.
#include "analysis/compare/bake_off.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace moesim {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

double median_step(const PointResult& point) {
  std::vector<double> steps;
  for (const WindowResult& window : point.windows) steps.push_back(window.step_time);
  return median(steps);
}

double mean_balance(const WindowResult& window) {
  const auto& layers = window.balancedness;
  return layers.empty() ? 1
                        : std::accumulate(layers.begin(), layers.end(), 0.0) /
                              static_cast<double>(layers.size());
}

std::vector<std::size_t> bake_off_ranking(const StudyResult& study) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < study.points.size(); ++i)
    if (!study.points[i].windows.empty()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return median_step(study.points[a]) < median_step(study.points[b]);
  });
  return order;
}

std::vector<Duel> duels(const StudyResult& study) {
  const std::vector<std::size_t> order = bake_off_ranking(study);
  std::vector<Duel> all;
  for (std::size_t i = 1; i < order.size(); ++i) {
    const auto& better = study.points[order[0]].windows;
    const auto& other = study.points[order[i]].windows;
    Duel duel{order[0], order[i], 0, static_cast<int>(std::min(better.size(), other.size())), 0};
    std::vector<double> gains;
    for (std::size_t w = 0; w < static_cast<std::size_t>(duel.windows); ++w) {
      gains.push_back(1 - better[w].step_time / other[w].step_time);
      duel.wins += gains.back() > 0 ? 1 : 0;
    }
    duel.median_gain = median(gains);
    all.push_back(duel);
  }
  return all;
}

namespace {

double share_of(const PointResult& point, std::size_t layer, int expert) {
  if (layer >= point.expert_load.size()) return 0;
  double all = 0;
  for (const std::uint64_t load : point.expert_load[layer]) all += static_cast<double>(load);
  return all == 0
             ? 0
             : static_cast<double>(point.expert_load[layer][static_cast<std::size_t>(expert)]) /
                   all;
}

// Of one layer: the ranks that hold each expert.
using Holders = std::set<std::pair<int, int>>;  // expert, rank
Holders holders(const std::vector<int>& replica_of, std::size_t ranks) {
  Holders held;
  const std::size_t each = replica_of.size() / ranks;
  for (std::size_t slot = 0; slot < replica_of.size(); ++slot)
    if (replica_of[slot] >= 0) held.insert({replica_of[slot], static_cast<int>(slot / each)});
  return held;
}

void add_layer(const PointResult& from, const PointResult& to, std::size_t layer, Moves& moves) {
  const auto ranks = static_cast<std::size_t>(to.group_ranks);
  const Holders before = holders(from.placement[layer], ranks);
  for (const auto& [expert, rank] : holders(to.placement[layer], ranks)) {
    if (before.count({expert, rank}) > 0) continue;
    ++moves.slots;
    moves.bytes += to.slot_bytes[layer];
    const auto held = before.lower_bound({expert, 0});
    moves.hottest.push_back({layer < to.expert_load_layers.size() ? to.expert_load_layers[layer]
                                                                  : static_cast<int>(layer),
                             expert,
                             held != before.end() && held->first == expert ? held->second : -1,
                             rank, share_of(to, layer, expert)});
  }
  moves.all_slots += to.placement[layer].size();
}

}  // namespace

std::optional<Moves> moves_between(const PointResult& from, const PointResult& to) {
  if (from.placement.empty() || from.placement.size() != to.placement.size() ||
      from.group_ranks != to.group_ranks || from.model != to.model)
    return std::nullopt;
  for (std::size_t layer = 0; layer < from.placement.size(); ++layer)
    if (from.placement[layer].size() != to.placement[layer].size()) return std::nullopt;
  Moves moves;
  for (std::size_t layer = 0; layer < from.placement.size(); ++layer)
    add_layer(from, to, layer, moves);
  std::stable_sort(moves.hottest.begin(), moves.hottest.end(),
                   [](const Moves::Move& a, const Moves::Move& b) { return a.share > b.share; });
  constexpr std::size_t kNamed = 3;
  if (moves.hottest.size() > kNamed) moves.hottest.resize(kNamed);
  return moves;
}

std::string duel_text(const StudyResult& study, const Duel& duel) {
  const std::string& better = study.points[duel.better].label;
  const std::string& other = study.points[duel.other].label;
  if (duel.wins == 0)
    return fmt::format("{} and {} take the same in all {} windows.", better, other, duel.windows);
  return fmt::format("{} beats {} in {} of {} windows ({:.0f} %), by {:.1f} % median.", better,
                     other, duel.wins, duel.windows, 100.0 * duel.wins / duel.windows,
                     100 * duel.median_gain);
}

}  // namespace moesim
