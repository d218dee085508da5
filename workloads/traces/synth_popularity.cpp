// Which experts are popular: scores drawn from the seed put experts in order, the profile's curve
// gives the load of each place in it. Domains share a part of their scores, sized so that their
// loads lie as far apart as the profile says; decode orders the experts a little otherwise than
// prefill.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>

#include "workloads/traces/synth_tables.h"

namespace moesim {
namespace {

using Scores = std::vector<double>;

// Inverse of the normal distribution by bisection: a handful of values a layer.
double normal_quantile(double share) {
  double low = -8, high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::numbers::sqrt2) < share ? low : high) = middle;
  }
  return low;
}

// A score an expert, of variance 1, of which group_share is common to the group. Group scores are
// the quantiles themselves, shuffled: a handful of draws would make some seeds far more skewed.
Scores draw_scores(const SynthShape& shape, double group_share, Random& random) {
  std::vector<double> of_group(static_cast<std::size_t>(shape.groups), 0);
  if (shape.groups > 1)
    for (int i = 0; i < shape.groups; ++i)
      of_group[static_cast<std::size_t>(i)] = normal_quantile((i + 0.5) / shape.groups);
  random.shuffle(std::span(of_group));
  const double common = shape.groups > 1 ? std::sqrt(group_share) : 0;
  const double own = std::sqrt(1 - common * common);
  const int in_group = shape.experts / shape.groups;
  Scores scores;
  scores.reserve(static_cast<std::size_t>(shape.experts));
  for (int expert = 0; expert < shape.experts; ++expert)
    scores.push_back(common * of_group[static_cast<std::size_t>(expert / in_group)] +
                     own * random.normal());
  return scores;
}

// Experts by falling score.
std::vector<std::size_t> order_of(const Scores& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  return order;
}

std::vector<double> placed(const std::vector<std::size_t>& order,
                           const std::vector<double>& curve) {
  std::vector<double> load(curve.size());
  for (std::size_t place = 0; place < order.size(); ++place) load[order[place]] = curve[place];
  return load;
}

struct DomainScores {
  Scores shared;
  std::vector<Scores> own;                  // by domain
  std::vector<std::vector<double>> curves;  // by domain
};

std::vector<std::vector<std::size_t>> orders(const DomainScores& scores, double shared_share) {
  const double shared = std::sqrt(shared_share), own = std::sqrt(1 - shared_share);
  std::vector<std::vector<std::size_t>> result;
  result.reserve(scores.own.size());
  for (const Scores& of_domain : scores.own) {
    Scores sum(of_domain.size());
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] = shared * scores.shared[i] + own * of_domain[i];
    result.push_back(order_of(sum));
  }
  return result;
}

// Mean total variation between domains.
double distance(const DomainScores& scores, double shared_share) {
  const auto order = orders(scores, shared_share);
  std::vector<std::vector<double>> load;
  load.reserve(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) load.push_back(placed(order[i], scores.curves[i]));
  double sum = 0;
  int pairs = 0;
  for (std::size_t a = 0; a < load.size(); ++a)
    for (std::size_t b = a + 1; b < load.size(); ++b, ++pairs)
      for (std::size_t i = 0; i < load[a].size(); ++i)
        sum += 0.5 * std::abs(load[a][i] - load[b][i]) / static_cast<double>(load[a].size());
  return pairs == 0 ? 0 : sum / pairs;
}

// The share of scores that all domains have in common at which they lie `target` apart. The
// distance falls with the share, but in steps and not quite steadily: of the values tried the
// nearest counts.
double shared_share(const DomainScores& scores, double target) {
  double low = 0, high = 1, best = 0, error = std::abs(distance(scores, 0) - target);
  for (int i = 0; i < 14 && error > 0.003 * target; ++i) {
    const double middle = (low + high) / 2;
    const double found = distance(scores, middle);
    if (std::abs(found - target) < error) {
      error = std::abs(found - target);
      best = middle;
    }
    (found > target ? low : high) = middle;
  }
  return best;
}

DomainScores draw_domains(const SynthShape& shape,
                          double group_share,
                          const std::vector<std::vector<double>>& curves,
                          Random& random) {
  DomainScores scores{draw_scores(shape, group_share, random), {}, curves};
  for (std::size_t i = 0; i < curves.size(); ++i)
    scores.own.push_back(draw_scores(shape, group_share, random));
  return scores;
}

// Decode's order: every expert's place moved by its shift.
std::vector<std::size_t> shifted(const std::vector<std::size_t>& order, const Scores& shift) {
  Scores scores(order.size());
  for (std::size_t place = 0; place < order.size(); ++place)
    scores[order[place]] = shift[order[place]] - static_cast<double>(place);
  return order_of(scores);
}

double max_over_mean(const std::vector<double>& load) {
  return *std::max_element(load.begin(), load.end()) * static_cast<double>(load.size()) /
         std::accumulate(load.begin(), load.end(), 0.0);
}

// Largest relative distance from `targets`: of each domain's load, both phases together, and of
// all.
double skew_error(const LayerLoads& loads, const std::vector<double>& targets) {
  if (targets.size() != loads.size() + 1) return 0;
  std::vector<double> all(loads[0][0].size(), 0);
  double error = 0;
  for (std::size_t domain = 0; domain < loads.size(); ++domain) {
    std::vector<double> sum(all.size(), 0);
    for (const auto& load : loads[domain])
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += load[i];
    for (std::size_t i = 0; i < sum.size(); ++i) all[i] += sum[i];
    error = std::max(error, std::abs(max_over_mean(sum) / targets[domain] - 1));
  }
  return std::max(error, std::abs(max_over_mean(all) / targets.back() - 1));
}

struct LayerDraw {
  DomainScores scores;
  Scores shift;      // places by which decode moves each expert
  double share = 1;  // of scores, that all domains have in common
  LayerLoads loads;
  double error = 0;  // the largest relative distance from what the profile asks for
};

void place_loads(const SynthShape& shape, LayerDraw& draw) {
  const auto order = orders(draw.scores, draw.share);
  draw.loads.assign(order.size(), {});
  for (std::size_t domain = 0; domain < order.size(); ++domain) {
    const std::vector<double>& curve = draw.scores.curves[domain];
    draw.loads[domain].push_back(placed(order[domain], curve));
    if (shape.decode)
      draw.loads[domain].push_back(placed(shifted(order[domain], draw.shift), curve));
  }
}

LayerDraw draw_layer(const SynthProfile& profile,
                     const SynthShape& shape,
                     const SynthLayer& layer,
                     const std::vector<std::vector<double>>& curves,
                     Random& random) {
  LayerDraw draw;
  draw.scores = draw_domains(shape, profile.group_share, curves, random);
  if (curves.size() > 1 && layer.domain_distance > 0) {
    draw.share = shared_share(draw.scores, layer.domain_distance);
    draw.error = std::abs(distance(draw.scores, draw.share) / layer.domain_distance - 1);
  }
  draw.shift.resize(static_cast<std::size_t>(shape.experts));
  for (double& places : draw.shift) places = profile.phase_shift * random.normal();
  place_loads(shape, draw);
  draw.error = std::max(draw.error, skew_error(draw.loads, layer.targets.max_over_mean));
  return draw;
}

// Domains and phases that favour different experts flatten what they make together. Their curves
// are raised where the mix lies too low, and lowered where it lies too high, until the mix has the
// curve that was asked for; the distance between domains is kept.
void steepen(const SynthShape& shape, const SynthLayer& layer, LayerDraw& draw) {
  constexpr int kRounds = 8;
  std::vector<double> wanted(static_cast<std::size_t>(shape.experts), 0);
  for (std::size_t domain = 0; domain < draw.scores.curves.size(); ++domain)
    for (std::size_t i = 0; i < wanted.size(); ++i)
      wanted[i] += draw.scores.curves[domain][i] *
                   (shape.token_share[domain * 2] + shape.token_share[domain * 2 + 1]);
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<double> mixed = mixed_curve(shape, draw.loads);
    for (std::vector<double>& curve : draw.scores.curves) {
      for (std::size_t i = 0; i < curve.size(); ++i) curve[i] *= wanted[i] / mixed[i];
      std::sort(curve.begin(), curve.end(), std::greater<>());
      const double mean = std::accumulate(curve.begin(), curve.end(), 0.0) / shape.experts;
      for (double& load : curve) load /= mean;
    }
    if (draw.scores.curves.size() > 1 && layer.domain_distance > 0)
      draw.share = shared_share(draw.scores, layer.domain_distance);
    place_loads(shape, draw);
  }
}

}  // namespace

// Of several draws the one that comes nearest to what the profile asks for: with few experts not
// every draw reaches the distance.
LayerLoads popularity(const SynthProfile& profile,
                      const SynthShape& shape,
                      const std::vector<std::size_t>& curve_of,
                      int moe_layer,
                      Random& random) {
  constexpr double kNearEnough = 0.035;
  constexpr int kDraws = 96;
  const double depth =
      shape.moe_layers == 1 ? 0 : static_cast<double>(moe_layer) / (shape.moe_layers - 1);
  std::vector<std::vector<double>> curves;
  curves.reserve(curve_of.size());
  for (const std::size_t domain : curve_of)
    curves.push_back(load_curve(profile, domain, depth, shape.experts));
  SynthLayer layer = layer_at(profile, depth);
  const bool as_measured = shape.experts == profile.experts && !curve_of.empty() &&
                           curve_of.size() == profile.domains.size();
  if (!as_measured) layer.targets = {};
  LayerDraw best = draw_layer(profile, shape, layer, curves, random);
  for (int draw = 1; draw < kDraws && best.error > kNearEnough; ++draw) {
    LayerDraw other = draw_layer(profile, shape, layer, curves, random);
    if (other.error < best.error) best = std::move(other);
  }
  if (profile.loads_of_mix) steepen(shape, layer, best);
  if (!layer.targets.all_load.empty() && curves.size() > 1)
    arrange(shape, layer, best.loads, random);
  return std::move(best.loads);
}

}  // namespace moesim
