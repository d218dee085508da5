// From loads to tables: token classes share a load out among themselves, chances become the rates
// of an exponential race, rates an alias table.
#include "workloads/traces/synth_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moesim {
namespace {

constexpr float kMostChance = 0.995F;  // a rate stays finite, and every expert can be missed

// Scales the values to the sum; what would lie above kMostChance stays there, and the others take
// the rest.
void fit_sum(std::span<float> chances, float sum) {
  constexpr int kRounds = 4;
  float factor = sum / std::max(1e-20F, std::accumulate(chances.begin(), chances.end(), 0.0F));
  for (int round = 0; round < kRounds; ++round) {
    float free = 0, full = 0;
    for (float& chance : chances) {
      chance = std::min(kMostChance, chance < kMostChance || round == 0 ? chance * factor : chance);
      (chance < kMostChance ? free : full) += chance;
    }
    if (full <= 0 || free <= 0 || sum <= full) return;
    factor = (sum - full) / free;
  }
}

// Chances of being among the first `taken` arrivals of an exponential race with these rates, into
// `chances`: arrival by arrival, each expert against the mean rate of those still running.
void race_chances(std::span<const float> rates, int taken, std::span<float> chances) {
  std::vector<float> running(rates.size(), 1.0F);
  for (int arrival = 0; arrival < taken; ++arrival) {
    float sum = 0;
    for (std::size_t i = 0; i < rates.size(); ++i) sum += rates[i] * running[i];
    for (std::size_t i = 0; i < rates.size(); ++i)
      running[i] *= 1 - rates[i] / (sum + rates[i] * (1 - running[i]));
  }
  for (std::size_t i = 0; i < rates.size(); ++i) chances[i] = 1 - running[i];
}

// Rates of a race whose first `taken` arrivals have the given chances. -log(1 - p) is right for
// many experts (Rosen 1997, "On sampling with probability proportional to size"); some rounds of
// correction make it so for few.
void rates_of(std::span<float> chances, int taken) {
  if (taken == 1) return;
  constexpr int kRounds = 3;
  const std::vector<float> wanted(chances.begin(), chances.end());
  std::vector<float> reached(chances.size());
  for (float& chance : chances) chance = -std::log1p(-std::min(chance, kMostChance));
  for (int round = 0; round < kRounds; ++round) {
    race_chances(chances, taken, reached);
    for (std::size_t i = 0; i < chances.size(); ++i) {
      const float want = std::min(wanted[i], kMostChance);
      const float have = std::clamp(reached[i], 1e-9F, kMostChance);
      chances[i] = std::min(20.0F, chances[i] * want * (1 - have) / ((1 - want) * have));
    }
  }
}

// Chances of the groups to be kept, by the copies their experts receive; the experts' chances
// become those in a kept group.
std::vector<float> split_groups(std::span<float> chances, const SynthShape& shape) {
  const std::size_t in_group = chances.size() / static_cast<std::size_t>(shape.groups);
  std::vector<float> kept;
  kept.reserve(static_cast<std::size_t>(shape.groups));
  for (std::size_t first = 0; first < chances.size(); first += in_group) {
    const auto group = chances.subspan(first, in_group);
    kept.push_back(std::accumulate(group.begin(), group.end(), 0.0F));
  }
  fit_sum(kept, static_cast<float>(shape.kept_groups));
  for (std::size_t i = 0; i < chances.size(); ++i) {
    // A group that its experts alone would need more often than always is kept nearly always.
    const float chance = std::min(kept[i / in_group], kMostChance);
    chances[i] = std::min(kMostChance, chances[i] / std::max(chance, 1e-6F));
  }
  return kept;
}

std::vector<float> draw_tastes(std::size_t count, double spread, Random& random) {
  std::vector<float> tastes(count, 1.0F);
  if (spread <= 0) return tastes;
  for (float& taste : tastes) taste = static_cast<float>(std::exp(spread * random.normal()));
  return tastes;
}

// Where the tables of one domain and phase go.
struct TableSpace {
  std::span<float> weights, group_weights;
  std::span<std::uint32_t> cells, group_cells;
};

void fill_tables(const std::vector<double>& load,
                 std::span<const float> tastes,
                 const SynthShape& shape,
                 TableSpace space) {
  const auto experts = static_cast<std::size_t>(shape.experts);
  const auto groups = static_cast<std::size_t>(shape.groups);
  class_chances(load, tastes, shape.top_k, space.weights);
  for (std::size_t first = 0; first < space.weights.size(); first += experts) {
    const auto chances = space.weights.subspan(first, experts);
    if (groups > 1) {
      std::vector<float> kept = split_groups(chances, shape);
      rates_of(kept, shape.kept_groups);
      const std::size_t first_group = first / experts * groups;
      std::copy(kept.begin(), kept.end(), space.group_weights.subspan(first_group).begin());
      AliasTable::build(kept, space.group_cells.subspan(first_group, groups));
    }
    if (groups > 1) {
      for (float& chance : chances) chance = -std::log1p(-std::min(chance, kMostChance));
    } else {
      rates_of(chances, shape.top_k);
    }
    AliasTable::build(chances, space.cells.subspan(first, experts));
  }
}

}  // namespace

void AliasTable::build(std::span<const float> weights, std::span<std::uint32_t> cells) {
  constexpr float kWhole = 65536.0F;
  const std::size_t size = weights.size();
  const float sum = std::accumulate(weights.begin(), weights.end(), 0.0F);
  std::vector<float> share(size);
  std::vector<std::uint32_t> small, large;
  small.reserve(size);
  large.reserve(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    share[i] = weights[i] * static_cast<float>(size) / sum;
    (share[i] < 1 ? small : large).push_back(i);
  }
  for (std::uint32_t i = 0; i < size; ++i) cells[i] = (0xFFFFU << 16) | i;
  while (!small.empty() && !large.empty()) {
    const std::uint32_t cell = small.back(), alias = large.back();
    small.pop_back();
    cells[cell] = (static_cast<std::uint32_t>(share[cell] * kWhole) << 16) | alias;
    share[alias] -= 1 - share[cell];
    if (share[alias] >= 1) continue;
    large.pop_back();
    small.push_back(alias);
  }
}

void class_chances(const std::vector<double>& load,
                   std::span<const float> tastes,
                   int top_k,
                   std::span<float> chances) {
  constexpr int kRounds = 6;
  const std::size_t experts = load.size(), classes = tastes.size() / experts;
  std::vector<float> mean(experts), sum(experts);
  for (std::size_t i = 0; i < experts; ++i) mean[i] = static_cast<float>(load[i]);
  fit_sum(mean, static_cast<float>(top_k));
  for (std::size_t i = 0; i < chances.size(); ++i) chances[i] = mean[i % experts] * tastes[i];
  for (int round = 0; round < kRounds; ++round) {
    std::fill(sum.begin(), sum.end(), 0.0F);
    for (std::size_t c = 0; c < classes; ++c) {
      const auto row = chances.subspan(c * experts, experts);
      fit_sum(row, static_cast<float>(top_k));
      for (std::size_t i = 0; i < experts; ++i) sum[i] += row[i];
    }
    for (std::size_t i = 0; i < experts; ++i)
      sum[i] = mean[i] * static_cast<float>(classes) / std::max(sum[i], 1e-20F);
    for (std::size_t c = 0; c < classes; ++c)
      for (std::size_t i = 0; i < experts; ++i)
        chances[c * experts + i] = std::min(kMostChance, chances[c * experts + i] * sum[i]);
  }
}

LayerTables make_layer_tables(const SynthProfile& profile,
                              const SynthShape& shape,
                              const std::vector<std::size_t>& curve_of,
                              int moe_layer,
                              std::uint64_t seed) {
  LayerTables tables;
  tables.values = layer_at(
      profile, shape.moe_layers == 1 ? 0 : static_cast<double>(moe_layer) / (shape.moe_layers - 1));
  tables.classes = static_cast<std::size_t>(profile.token_classes);
  const auto experts = static_cast<std::size_t>(shape.experts);
  const auto groups = shape.groups > 1 ? static_cast<std::size_t>(shape.groups) : 0;
  Random loads_random = Random::named(seed, fmt::format("popularity {}", moe_layer));
  Random taste_random = Random::named(seed, fmt::format("taste {}", moe_layer));
  const LayerLoads loads = popularity(profile, shape, curve_of, moe_layer, loads_random);
  const std::vector<float> tastes =
      draw_tastes(tables.classes * experts, tables.values.class_spread, taste_random);

  const std::size_t count = loads.size() * shape.phases() * tables.classes;
  tables.cells.resize(count * experts);
  tables.weights.resize(count * experts);
  tables.group_cells.resize(count * groups);
  tables.group_weights.resize(count * groups);
  const std::size_t step = tables.classes * experts, group_step = tables.classes * groups;
  std::size_t first = 0, first_group = 0;
  for (const auto& of_domain : loads)
    for (const std::vector<double>& load : of_domain) {
      fill_tables(load, tastes, shape,
                  {std::span(tables.weights).subspan(first, step),
                   std::span(tables.group_weights).subspan(first_group, group_step),
                   std::span(tables.cells).subspan(first, step),
                   std::span(tables.group_cells).subspan(first_group, group_step)});
      first += step;
      first_group += group_step;
    }
  return tables;
}

}  // namespace moesim
