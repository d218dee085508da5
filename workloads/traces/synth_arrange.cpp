// Exchanges the places of experts within a domain until all domains together have the loads that
// were measured: which experts two domains both favour, no curve of a single domain says.
#include <algorithm>
#include <cmath>
#include <functional>

#include "workloads/traces/synth_tables.h"

namespace moesim {
namespace {

// Mean over pairs of domains of the total variation between their prefill loads (means 1).
double loads_distance(const LayerLoads& loads) {
  double sum = 0;
  int pairs = 0;
  for (std::size_t a = 0; a < loads.size(); ++a)
    for (std::size_t b = a + 1; b < loads.size(); ++b, ++pairs)
      for (std::size_t i = 0; i < loads[a][0].size(); ++i)
        sum += 0.5 * std::abs(loads[a][0][i] - loads[b][0][i]);
  return pairs == 0 ? 0 : sum / pairs / static_cast<double>(loads[0][0].size());
}

// Mean relative square by place, and the distance's; the hottest place counts as much as them all.
double arrangement_error(const SynthShape& shape,
                         const SynthLayer& layer,
                         const LayerLoads& loads) {
  std::vector<double> mixed = mixed_curve(shape, loads);
  const std::vector<double>& wanted = layer.targets.all_load;
  const auto square = [](double value, double target) {
    constexpr double kFloor = 0.05;  // of the mean: places below hardly matter
    const double apart = (value - target) / std::max(target, kFloor);
    return apart * apart;
  };
  double sum = square(mixed[0], wanted[0]);
  for (std::size_t i = 0; i < mixed.size(); ++i)
    sum += square(mixed[i], wanted[i]) / static_cast<double>(mixed.size());
  if (layer.domain_distance > 0) sum += square(loads_distance(loads), layer.domain_distance);
  return sum;
}

void exchange(std::vector<std::vector<double>>& of_domain, std::size_t a, std::size_t b) {
  for (std::vector<double>& load : of_domain) std::swap(load[a], load[b]);
}

}  // namespace

std::vector<double> mixed_curve(const SynthShape& shape, const LayerLoads& loads) {
  std::vector<double> sum(static_cast<std::size_t>(shape.experts), 0);
  for (std::size_t domain = 0; domain < loads.size(); ++domain)
    for (std::size_t phase = 0; phase < loads[domain].size(); ++phase)
      for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] += shape.token_share[domain * 2 + phase] * loads[domain][phase][i];
  std::sort(sum.begin(), sum.end(), std::greater<>());
  return sum;
}

void arrange(const SynthShape& shape, const SynthLayer& layer, LayerLoads& loads, Random& random) {
  constexpr int kTries = 6000;
  constexpr double kNearEnough = 2e-4;  // about 1 % everywhere
  const auto in_group = static_cast<std::uint64_t>(shape.experts / shape.groups);
  double error = arrangement_error(shape, layer, loads);
  for (int i = 0; i < kTries && error > kNearEnough; ++i) {
    auto& of_domain = loads[random.below(loads.size())];
    // Within a group: what groups have in common stays.
    const std::size_t a = random.below(static_cast<std::uint64_t>(shape.experts));
    const std::size_t b = a / in_group * in_group + random.below(in_group);
    exchange(of_domain, a, b);
    const double now = arrangement_error(shape, layer, loads);
    if (now < error)
      error = now;
    else
      exchange(of_domain, a, b);
  }
}

}  // namespace moesim
