// Frequencies by the hub's rules, tables in float32 as its code computes them.
#include "workloads/forward/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

namespace moesim {
namespace {

constexpr std::int64_t kLargestDims = 1024;

Yarn read_yarn(ConfigReader& config, const JsonNode& node) {
  const auto number_or = [&](const char* key, double absent) {
    const auto value = node.find(key);
    return value ? value->as_number() : absent;
  };
  Yarn yarn;
  yarn.factor = node.at("factor").as_ratio(1.0, 1e6);
  yarn.beta_fast = number_or("beta_fast", yarn.beta_fast);
  yarn.beta_slow = number_or("beta_slow", yarn.beta_slow);
  yarn.mscale = number_or("mscale", 0);
  yarn.mscale_all_dim = number_or("mscale_all_dim", 0);
  if (const auto value = node.find("attention_factor")) yarn.attention_factor = value->as_number();
  if (const auto value = node.find("truncate")) yarn.truncate = value->as_bool();
  yarn.original_positions = node.find("original_max_position_embeddings")
                                ? number_or("original_max_position_embeddings", 0)
                                : static_cast<double>(config.size("max_position_embeddings"));
  if (yarn.original_positions < 1 || yarn.beta_fast <= 0 || yarn.beta_slow <= 0)
    node.fail("original_max_position_embeddings, beta_fast and beta_slow must be above zero");
  return yarn;
}

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

}  // namespace

RopeParameters read_rope(ConfigReader& config, std::int64_t dims, double default_theta) {
  RopeParameters parameters;
  parameters.dims = dims;
  parameters.theta = config.number_or("rope_theta", default_theta);
  auto node = config.find("rope_scaling");
  if (const auto newer = config.find("rope_parameters")) node = newer;
  if (parameters.theta <= 1) config.fail("rope_theta", "must be above 1");
  if (dims > kLargestDims)
    throw InputError(
        fmt::format("config.json: {} rotated dimensions a head are not implemented; at most {} are",
                    dims, kLargestDims));
  if (!node) return parameters;
  node->allow_only({"type", "rope_type", "rope_theta", "factor", "beta_fast", "beta_slow", "mscale",
                    "mscale_all_dim", "attention_factor", "truncate",
                    "original_max_position_embeddings"});
  if (const auto theta = node->find("rope_theta")) parameters.theta = theta->as_ratio(1.001, 1e12);
  auto type = node->find("rope_type");
  if (!type) type = node->find("type");
  if (!type) return parameters;
  if (type->as_choice({"default", "none", "yarn"}, "implemented rope type") == "yarn")
    parameters.yarn = read_yarn(config, *node);
  return parameters;
}

double yarn_softmax_factor(const RopeParameters& parameters) {
  if (!parameters.yarn || parameters.yarn->mscale_all_dim == 0) return 1;
  const double factor = mscale(parameters.yarn->factor, parameters.yarn->mscale_all_dim);
  return factor * factor;
}

Rope::Rope(const RopeParameters& parameters) : parameters_(parameters) {
  for (std::int64_t pair = 0; 2 * pair < parameters.dims; ++pair) {
    const double exponent = 2.0 * static_cast<double>(pair) / static_cast<double>(parameters.dims);
    double frequency = std::pow(parameters.theta, -exponent);
    if (parameters.yarn) {
      const double share = stretched_share(parameters, *parameters.yarn, static_cast<double>(pair));
      frequency *= share / parameters.yarn->factor + (1 - share);
    }
    frequencies_.push_back(static_cast<float>(frequency));
  }
  if (parameters.yarn) amplitude_ = static_cast<float>(amplitude(*parameters.yarn));
}

std::shared_ptr<const RopeTable> Rope::table(std::int64_t length) {
  if (!table_) {
    table_ = std::make_shared<RopeTable>();
    table_->half_ = frequencies_.size();
    table_->interleaved_ = parameters_.interleaved;
  }
  extend(*table_, length);
  return table_;
}

void Rope::extend(RopeTable& table, std::int64_t end) const {
  for (; table.positions_ < end; ++table.positions_)
    for (const float frequency : frequencies_) {
      const float angle = static_cast<float>(table.positions_) * frequency;
      table.cosines_.push_back(std::cos(angle) * amplitude_);
      table.sines_.push_back(std::sin(angle) * amplitude_);
    }
}

void RopeTable::rotate(float* x, std::int64_t position) const {
  const float* cosine = cosines_.data() + static_cast<std::size_t>(position) * half_;
  const float* sine = sines_.data() + static_cast<std::size_t>(position) * half_;
  if (interleaved_) {  // first members to the front half, second members behind
    std::array<float, kLargestDims / 2> seconds{};
    for (std::size_t i = 0; i < half_; ++i) {
      seconds[i] = x[2 * i + 1];
      x[i] = x[2 * i];
    }
    std::copy_n(seconds.data(), half_, x + half_);
  }
  for (std::size_t i = 0; i < half_; ++i) {
    const float first = x[i], second = x[half_ + i];
    x[i] = first * cosine[i] - second * sine[i];
    x[half_ + i] = second * cosine[i] + first * sine[i];
  }
}

void RopeTable::rotate_back(float* x, std::int64_t position) const {
  const float* cosine = cosines_.data() + static_cast<std::size_t>(position) * half_;
  const float* sine = sines_.data() + static_cast<std::size_t>(position) * half_;
  for (std::size_t i = 0; i < half_; ++i) {
    const float first = x[i], second = x[half_ + i];
    x[i] = first * cosine[i] + second * sine[i];
    x[half_ + i] = second * cosine[i] - first * sine[i];
  }
}

}  // namespace moesim
