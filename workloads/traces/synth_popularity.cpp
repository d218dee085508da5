// Which experts are popular: scores drawn from the seed put experts in order, the profile's curve
// gives the load of each place in it. Domains share a part of their scores, sized so that their
// loads lie as far apart as the profile says; decode orders the experts a little otherwise than
// prefill.
#include <algorithm>
#include <cmath>
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

// Of several draws the one that comes nearest to the distance: with few experts not every draw
// reaches it.
std::vector<std::vector<std::size_t>> domain_orders(const SynthShape& shape,
                                                    double group_share,
                                                    double target,
                                                    const std::vector<std::vector<double>>& curves,
                                                    Random& random) {
  constexpr double kNearEnough = 0.03;
  constexpr int kDraws = 24;
  std::vector<std::vector<std::size_t>> best;
  double best_error = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const DomainScores scores = draw_domains(shape, group_share, curves, random);
    const double share = curves.size() == 1 ? 1 : shared_share(scores, target);
    const double error = curves.size() == 1 ? 0 : std::abs(distance(scores, share) - target);
    if (best.empty() || error < best_error) {
      best = orders(scores, share);
      best_error = error;
    }
    if (best_error <= kNearEnough * target) break;
  }
  return best;
}

}  // namespace

LayerLoads popularity(const SynthProfile& profile,
                      const SynthShape& shape,
                      const std::vector<std::size_t>& curve_of,
                      int moe_layer,
                      Random& random) {
  const double depth =
      shape.moe_layers == 1 ? 0 : static_cast<double>(moe_layer) / (shape.moe_layers - 1);
  std::vector<std::vector<double>> curves;
  curves.reserve(curve_of.size());
  for (const std::size_t domain : curve_of)
    curves.push_back(load_curve(profile, domain, depth, shape.experts));
  const double target = layer_at(profile, depth).domain_distance;
  const auto order = domain_orders(shape, profile.group_share, target, curves, random);

  Scores shift(static_cast<std::size_t>(shape.experts));
  for (double& places : shift) places = profile.phase_shift * random.normal();
  LayerLoads loads(curves.size());
  for (std::size_t domain = 0; domain < curves.size(); ++domain) {
    loads[domain].push_back(placed(order[domain], curves[domain]));
    if (!shape.decode) continue;
    Scores decode(shift.size());
    for (std::size_t place = 0; place < decode.size(); ++place)
      decode[order[domain][place]] = shift[order[domain][place]] - static_cast<double>(place);
    loads[domain].push_back(placed(order_of(decode), curves[domain]));
  }
  return loads;
}

}  // namespace moesim
