// The frequency rules: pair i of d turns by theta^(-2i/d) a position, changed by kind. Computed in
// double and rounded once to the float32 that the hub's code multiplies positions by.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "workloads/forward/rope.h"

namespace moesim {
namespace {

double mscale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

// What cosines and sines are multiplied by.
double amplitude(const Yarn& yarn) {
  if (yarn.attention_factor) return *yarn.attention_factor;
  if (yarn.mscale != 0 && yarn.mscale_all_dim != 0)
    return mscale(yarn.factor, yarn.mscale) / mscale(yarn.factor, yarn.mscale_all_dim);
  return mscale(yarn.factor, 1);
}

// Share of the stretched frequency at each pair: 0 up to the pair that turns beta_fast times over
// the original positions, 1 from the pair that turns beta_slow times, linear between.
double stretched_share(const RopeParameters& parameters, const Yarn& yarn, double pair) {
  const double dims = static_cast<double>(parameters.dims);
  const auto pair_of_turns = [&](double turns) {
    return dims * std::log(yarn.original_positions / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(parameters.theta));
  };
  double low = pair_of_turns(yarn.beta_fast), high = pair_of_turns(yarn.beta_slow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;  // the hub's guard against division by zero
  return std::clamp((pair - low) / (high - low), 0.0, 1.0);
}

// theta for a length beyond the original positions (transformers v4.57.1,
// _compute_dynamic_ntk_parameters).
double dynamic_theta(const RopeParameters& parameters, std::int64_t length) {
  const double original = parameters.original_positions;
  const double dims = static_cast<double>(parameters.dims);
  const double seen = std::max(static_cast<double>(length), original);
  const double stretch = parameters.factor * seen / original - (parameters.factor - 1);
  return parameters.theta * std::pow(stretch, dims / (dims - 2));
}

// Llama 3.1's rule: wavelengths beyond original / low are stretched, those below original / high
// are kept, between them the two are mixed.
double llama3_frequency(const RopeParameters& parameters, double frequency) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double original = parameters.original_positions;
  const double low = parameters.low_frequency, high = parameters.high_frequency;
  if (wavelength > original / low) return frequency / parameters.factor;
  if (wavelength < original / high || high == low) return frequency;
  const double kept = (original / wavelength - low) / (high - low);
  return (1 - kept) * frequency / parameters.factor + kept * frequency;
}

double changed(const RopeParameters& parameters, std::size_t pair, double frequency, bool beyond) {
  switch (parameters.kind) {
    case RopeKind::linear:
      return frequency / parameters.factor;
    case RopeKind::yarn: {
      const double share = stretched_share(parameters, *parameters.yarn, static_cast<double>(pair));
      return frequency * (share / parameters.yarn->factor + (1 - share));
    }
    case RopeKind::llama3:
      return llama3_frequency(parameters, frequency);
    case RopeKind::longrope:
      return frequency / (beyond ? parameters.long_factors : parameters.short_factors)[pair];
    default:
      return frequency;
  }
}

}  // namespace

double yarn_softmax_factor(const RopeParameters& parameters) {
  if (!parameters.yarn || parameters.yarn->mscale_all_dim == 0) return 1;
  const double factor = mscale(parameters.yarn->factor, parameters.yarn->mscale_all_dim);
  return factor * factor;
}

RopeFrequencies rope_frequencies(const RopeParameters& parameters, std::int64_t length) {
  const double theta = parameters.kind == RopeKind::dynamic_ntk ? dynamic_theta(parameters, length)
                                                                : parameters.theta;
  const bool beyond = static_cast<double>(length) > parameters.original_positions;
  RopeFrequencies frequencies;
  for (std::size_t pair = 0; 2 * pair < static_cast<std::size_t>(parameters.dims); ++pair) {
    const double exponent = 2.0 * static_cast<double>(pair) / static_cast<double>(parameters.dims);
    frequencies.radians.push_back(
        static_cast<float>(changed(parameters, pair, std::pow(theta, -exponent), beyond)));
  }
  if (parameters.yarn) frequencies.amplitude = static_cast<float>(amplitude(*parameters.yarn));
  if (parameters.kind == RopeKind::longrope)
    frequencies.amplitude =
        static_cast<float>(beyond ? parameters.long_amplitude : parameters.short_amplitude);
  return frequencies;
}

}  // namespace moesim
