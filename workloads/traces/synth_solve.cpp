// The solver: draws a trace, measures it, and moves each chance towards its target. A share grows
// nearly in proportion to the chance that carries it, from what it is without that chance.
#include <algorithm>
#include <cmath>
#include <limits>

#include "workloads/traces/synth_fit.h"

namespace moesim {
namespace {

constexpr double kMostKeep = 0.995, kLeastKeep = 0.25;

// Means over the MoE layers that stand for one layer of the profile.
struct Measured {
  double next_layer = 0, next_token = 0, same_first = 0;
};

// The MoE layers of a drawn trace that a profile's layer is measured on: all where it is the only
// one, else the one at its depth.
std::vector<std::size_t> layers_for(const SynthProfile& profile,
                                    std::size_t number,
                                    int moe_layers) {
  std::vector<std::size_t> layers;
  for (int layer = 0; layer < moe_layers; ++layer) {
    const double depth = moe_layers == 1 ? 0 : static_cast<double>(layer) / (moe_layers - 1);
    const bool near = std::abs(depth - profile.layers[number].depth) * (moe_layers - 1) < 0.5;
    if (profile.layers.size() == 1 || near || moe_layers == 1)
      layers.push_back(static_cast<std::size_t>(layer));
  }
  return layers;
}

double mean_share(const TraceStats& stats,
                  const std::vector<std::size_t>& layers,
                  DependenceStats LayerTraceStats::*which) {
  double sum = 0;
  int count = 0;
  for (const std::size_t layer : layers) {
    const DependenceStats& dependence = stats.layers[layer].*which;
    if (dependence.pairs == 0) continue;
    sum += dependence.share;
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

std::vector<Measured> measure(const SynthProfile& profile, const TraceStats& stats) {
  std::vector<Measured> result;
  result.reserve(profile.layers.size());
  for (std::size_t i = 0; i < profile.layers.size(); ++i) {
    const auto layers = layers_for(profile, i, static_cast<int>(stats.layers.size()));
    result.push_back({mean_share(stats, layers, &LayerTraceStats::next_layer),
                      mean_share(stats, layers, &LayerTraceStats::next_token),
                      mean_share(stats, layers, &LayerTraceStats::same_first_expert)});
  }
  return result;
}

std::array<double, 3> mean_overlap(const TraceStats& stats) {
  std::array<double, 3> sum{};
  double counted = 0;
  for (const LayerTraceStats& layer : stats.layers) {
    if (!layer.phases.counted) continue;
    ++counted;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += layer.phases.share[i];
  }
  for (double& share : sum) share = counted > 0 ? share / counted : 0;
  return sum;
}

// The chance at which the share would be `target`, if it grows in proportion from `without`.
double moved(double chance, double target, double share, double without) {
  constexpr double kLeastGain = 0.005, kMostStep = 1.6;
  if (target <= 0) return chance;
  const double gain = std::max(share - without, kLeastGain);
  const double step = std::clamp((target - without) / gain, 1 / kMostStep, kMostStep);
  return std::clamp(chance * step, 0.0, kMostKeep);
}

// Which layer's next_layer_keep decides how layer `number` is followed: it belongs to the follower.
std::size_t follower(const SynthProfile& profile, std::size_t number, std::size_t moe_layers) {
  return profile.layers.size() == moe_layers ? std::min(number + 1, moe_layers - 1) : number;
}

void move_layer(SynthProfile& profile,
                std::size_t number,
                std::size_t moe_layers,
                const Measured& now,
                const Measured& without) {
  const SynthTargets& targets = profile.layers[number].targets;
  const std::size_t next = follower(profile, number, moe_layers);
  double& layer_keep = profile.layers[next].next_layer_keep;
  double& token_keep = profile.layers[number].next_token_keep;
  if (now.next_layer > 0)
    layer_keep = moved(layer_keep, targets.next_layer, now.next_layer, without.next_layer);
  if (now.next_token > 0)
    token_keep = moved(token_keep, targets.next_token, now.next_token, without.next_token);
  if (targets.same_first > 0) {
    double& repeat = profile.layers[number].repeat_first;
    repeat = std::clamp(
        repeat + (targets.same_first - now.same_first) / std::max(0.1, 1 - now.same_first), 0.0,
        kMostKeep);
  }
}

// What keeps a layer from its targets at the present spread.
struct SpreadVotes {
  std::size_t known = 0, short_of = 0, small = 0, repeated = 0;
};

bool falls_short(const Measured& now, const SynthTargets& targets) {
  constexpr double kShort = 0.96;
  return (now.next_layer > 0 && now.next_layer < kShort * targets.next_layer) ||
         now.next_token < kShort * targets.next_token;
}

void vote(const SynthLayer& layer, const Measured& now, SpreadVotes& votes) {
  const SynthTargets& targets = layer.targets;
  if (targets.next_layer <= 0 && targets.next_token <= 0) return;
  ++votes.known;
  const double most = std::max(layer.next_layer_keep, layer.next_token_keep);
  if (most >= 0.9 && falls_short(now, targets)) ++votes.short_of;
  if (most < kLeastKeep) ++votes.small;
  // Classes alone make neighbours agree more often than they should.
  const bool agree = now.same_first > 1.1 * targets.same_first;
  if (targets.same_first > 0 && layer.repeat_first <= 0 && agree) ++votes.repeated;
}

// A spread too small leaves some share short of its target at the largest chance; one too large
// leaves little for the chances to say. It is moved in all layers at once, since neighbours share
// it.
void move_spread(SynthProfile& profile, const std::vector<Measured>& now) {
  SpreadVotes votes;
  for (std::size_t i = 0; i < profile.layers.size(); ++i) vote(profile.layers[i], now[i], votes);
  double factor = 1;
  if (4 * votes.small > 3 * votes.known || 4 * votes.repeated > votes.known) factor = 0.85;
  if (4 * votes.short_of > votes.known) factor = 1.3;
  if (votes.known == 0) factor = 1;
  for (SynthLayer& layer : profile.layers)
    layer.class_spread = std::clamp(layer.class_spread * factor, 0.05, 6.0);
}

void move_phases(SynthProfile& profile, const TraceStats& stats) {
  const std::array<double, 3> now = mean_overlap(stats);
  double wanted = 0, missing = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (profile.phase_overlap[i] <= 0 || now[i] <= 0) return;
    wanted += 1 - profile.phase_overlap[i];
    missing += 1 - now[i];
  }
  const double step = std::clamp(wanted / std::max(missing, 0.01), 0.5, 2.0);
  profile.phase_shift = std::min(512.0, profile.phase_shift * step);
}

// Without chances, classes and repeats are what loads and domains alone make of the shares.
SynthProfile without_chances(SynthProfile profile) {
  for (SynthLayer& layer : profile.layers)
    layer.next_layer_keep = layer.next_token_keep = layer.repeat_first = 0;
  return profile;
}

void start_at(double& chance, double target) {
  constexpr double kStart = 0.7;
  if (target > 0 && chance <= 0) chance = kStart;
}

void start_values(SynthProfile& profile) {
  for (std::size_t i = 0; i < profile.layers.size(); ++i) {
    SynthLayer& layer = profile.layers[i];
    const std::size_t before = i > 0 ? i - 1 : 0;
    if (layer.class_spread <= 0) layer.class_spread = 0.8;
    start_at(layer.next_token_keep, layer.targets.next_token);
    start_at(layer.next_layer_keep,
             std::max(layer.targets.next_layer, profile.layers[before].targets.next_layer));
  }
  if (profile.layers.size() > 1) profile.layers.front().next_layer_keep = 0;  // nothing before it
  if (profile.phase_overlap[0] > 0 && profile.phase_shift <= 0) profile.phase_shift = 4;
}

std::vector<FitRow> rows_of(const SynthProfile& profile, const TraceStats& stats) {
  std::vector<FitRow> rows;
  const std::vector<Measured> now = measure(profile, stats);
  const auto add = [&](int layer, const char* statistic, double target, double reached) {
    if (target > 0 && reached > 0) rows.push_back({layer, statistic, target, reached});
  };
  for (std::size_t i = 0; i < profile.layers.size(); ++i) {
    const SynthTargets& targets = profile.layers[i].targets;
    const int layer =
        profile.layers.size() == 1
            ? -1
            : static_cast<int>(layers_for(profile, i, static_cast<int>(stats.layers.size()))[0]);
    add(layer, "next layer", targets.next_layer, now[i].next_layer);
    add(layer, "next token", targets.next_token, now[i].next_token);
    add(layer, "same first expert", targets.same_first, now[i].same_first);
  }
  const std::array<double, 3> overlap = mean_overlap(stats);
  add(-1, "prefill/decode top 5", profile.phase_overlap[0], overlap[0]);
  add(-1, "prefill/decode top 10", profile.phase_overlap[1], overlap[1]);
  add(-1, "prefill/decode top 20", profile.phase_overlap[2], overlap[2]);
  return rows;
}

double total_error(const std::vector<FitRow>& rows) {
  double sum = 0;
  for (const FitRow& row : rows)
    sum += (row.reached / row.target - 1) * (row.reached / row.target - 1);
  return sum;
}

}  // namespace

FittedProfile solve_profile(SynthProfile profile, SynthRequest request, const FitOptions& options) {
  request.threads = options.threads;
  request.seed = options.seed;
  start_values(profile);
  const auto stats_of = [&](const SynthProfile& drawn) {
    return trace_stats(synthesize(drawn, request), options.threads);
  };
  const std::vector<Measured> without = measure(profile, stats_of(without_chances(profile)));
  FittedProfile best;
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round <= options.rounds; ++round) {
    const TraceStats stats = stats_of(profile);
    std::vector<FitRow> rows = rows_of(profile, stats);
    const double error = total_error(rows);
    if (error < least) {
      best = {profile, request, std::move(rows)};
      least = error;
    }
    const std::vector<Measured> now = measure(profile, stats);
    for (std::size_t i = 0; i < profile.layers.size(); ++i)
      move_layer(profile, i, stats.layers.size(), now[i], without[i]);
    move_spread(profile, now);
    move_phases(profile, stats);
  }
  return best;
}

}  // namespace moesim
