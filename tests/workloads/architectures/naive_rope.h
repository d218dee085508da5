// The rope types of the hub's configurations in double precision, each by its definition in
// transformers v4.57.1's modeling_rope_utils.py: what the product's frequencies are held to.
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include "tests/workloads/architectures/tiny_model.h"

namespace moesim::naive {

// Radians a position that each pair turns, and what cosines and sines are times.
struct Turning {
  Row radians;
  double amplitude = 1;
};

inline Turning plain_turning(std::int64_t dims, double theta) {
  Turning turning;
  for (std::int64_t first = 0; first < dims; first += 2)
    turning.radians.push_back(
        1 / std::pow(theta, static_cast<double>(first) / static_cast<double>(dims)));
  return turning;
}

// Positions are squeezed by the factor.
inline Turning linear_turning(std::int64_t dims, double theta, double factor) {
  Turning turning = plain_turning(dims, theta);
  for (double& radians : turning.radians) radians /= factor;
  return turning;
}

// theta grows so that the slowest pair turns over `length` as it did over `original`.
inline Turning dynamic_turning(
    std::int64_t dims, double theta, double factor, double original, double length) {
  if (length <= original) return plain_turning(dims, theta);
  const double d = static_cast<double>(dims);
  const double base = factor * length / original - (factor - 1);
  return plain_turning(dims, theta * std::pow(base, d / (d - 2)));
}

struct YarnRule {
  double factor, original, fast = 32, slow = 1;
  bool truncate = true;
};
// Pairs that turn more than `fast` times over the original positions keep their frequency, those
// that turn less than `slow` times are divided by the factor; a ramp over the pair's index between.
inline Turning yarn_turning(std::int64_t dims, double theta, const YarnRule& rule) {
  Turning turning = plain_turning(dims, theta);
  const double d = static_cast<double>(dims);
  const auto pair_turning = [&](double times) {
    return d / 2 * std::log(rule.original / (2 * std::numbers::pi * times)) / std::log(theta);
  };
  double low = pair_turning(rule.fast), high = pair_turning(rule.slow);
  if (rule.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = low < 0 ? 0 : low;
  high = high > d - 1 ? d - 1 : high;
  if (low == high) high += 0.001;
  for (std::size_t pair = 0; pair < turning.radians.size(); ++pair) {
    double ramp = (static_cast<double>(pair) - low) / (high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    turning.radians[pair] =
        turning.radians[pair] / rule.factor * ramp + turning.radians[pair] * (1 - ramp);
  }
  turning.amplitude = 0.1 * std::log(rule.factor) + 1;
  return turning;
}

struct Llama3Rule {
  double factor, low, high, original;
};
inline Turning llama3_turning(std::int64_t dims, double theta, const Llama3Rule& rule) {
  Turning turning = plain_turning(dims, theta);
  for (double& radians : turning.radians) {
    const double turns = rule.original * radians / (2 * std::numbers::pi);  // over the original
    if (turns < rule.low)
      radians /= rule.factor;
    else if (turns <= rule.high) {
      const double kept = (turns - rule.low) / (rule.high - rule.low);
      radians = radians * kept + radians / rule.factor * (1 - kept);
    }
  }
  return turning;
}

// A factor a pair; `amplitude` as given.
inline Turning longrope_turning(std::int64_t dims,
                                double theta,
                                const std::vector<double>& factors,
                                double amplitude) {
  Turning turning = plain_turning(dims, theta);
  for (std::size_t pair = 0; pair < factors.size(); ++pair) turning.radians[pair] /= factors[pair];
  turning.amplitude = amplitude;
  return turning;
}

// Turns x[first ..) by the position: neighbouring pairs, or halves.
inline void turn_by(
    const Turning& turning, Row& x, std::size_t first, double position, bool neighbours) {
  const std::size_t half = turning.radians.size();
  for (std::size_t pair = 0; pair < half; ++pair) {
    const double angle = position * turning.radians[pair];
    double& a = x[first + (neighbours ? 2 * pair : pair)];
    double& b = x[first + (neighbours ? 2 * pair + 1 : pair + half)];
    const double old = a;
    a = turning.amplitude * (old * std::cos(angle) - b * std::sin(angle));
    b = turning.amplitude * (b * std::cos(angle) + old * std::sin(angle));
  }
}

}  // namespace moesim::naive
