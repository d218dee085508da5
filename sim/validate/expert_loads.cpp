// Loads of experts, alike or from a power law.
#include "sim/validate/expert_loads.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "sim/core/random.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

constexpr int kDraws = 5;

double copies_of(const ExpertLoad& load) {
  return 1.0 * load.tokens_per_rank * load.ranks * load.top_k;
}

std::vector<std::uint32_t> even_rows(const ExpertLoad& load) {
  const auto local = static_cast<std::size_t>(load.local_experts);
  const double of_rank = copies_of(load) / load.ranks;
  const double each = of_rank / load.local_experts;
  if (each >= 1) return std::vector<std::uint32_t>(local, static_cast<std::uint32_t>(each));
  std::vector<std::uint32_t> rows(local, 0);
  std::fill_n(rows.begin(), static_cast<std::size_t>(std::ceil(of_rank)), 1U);
  return rows;
}

// Inverse of the distribution with density x^-exponent on [low, high].
double power_law(double uniform, double exponent, double low, double high) {
  const double power = 1 - exponent;
  if (std::abs(power) < 1e-9) return low * std::pow(high / low, uniform);
  const double from = std::pow(low, power), to = std::pow(high, power);
  return std::pow(from + (to - from) * uniform, 1 / power);
}

std::vector<std::uint32_t> skewed_rows(const ExpertLoad& load, Random& random) {
  const double copies = copies_of(load), tokens = copies / load.top_k;
  const bool many = copies > load.experts;
  std::vector<double> weight(static_cast<std::size_t>(load.experts));
  for (double& one : weight)
    one = power_law(random.uniform(), load.skew_exponent, many ? 1 : 0.01,
                    many ? std::max(1.0, 0.8 * tokens) : 2);
  const double scale = copies / std::accumulate(weight.begin(), weight.end(), 0.0);
  std::vector<std::uint32_t> heaviest;
  double most = -1;
  for (int first = 0; first + load.local_experts <= load.experts; first += load.local_experts) {
    std::vector<std::uint32_t> rows;
    for (int expert = first; expert < first + load.local_experts; ++expert)
      rows.push_back(static_cast<std::uint32_t>(
          std::lround(std::min(tokens, scale * weight[static_cast<std::size_t>(expert)]))));
    const double sum = std::accumulate(rows.begin(), rows.end(), 0.0);
    if (sum > most) {
      most = sum;
      heaviest = std::move(rows);
    }
  }
  return heaviest;
}

}  // namespace

ExpertLoad expert_load_of(const JsonNode& typed) {
  ExpertLoad load;
  load.ranks = static_cast<int>(typed.at("ep").as_int(1, 65536));
  load.experts = static_cast<int>(typed.at("experts").as_int(1, 65536));
  load.local_experts = int_of(typed, "local_experts", std::max(1, load.experts / load.ranks));
  load.tokens_per_rank = static_cast<int>(typed.at("tokens_per_rank").as_int(1, 1 << 24));
  load.top_k = static_cast<int>(typed.at("top_k").as_int(1, 1024));
  if (load.top_k > load.experts)
    typed.at("top_k").fail("more choices a token than experts (" + std::to_string(load.experts) +
                           ")");
  if (load.local_experts > load.experts)
    typed.at("local_experts").fail("a rank holds more experts than there are");
  const std::string routing =
      choice_of(typed, "routing", {"uniform", "balanced", "skewed", "token_drop", "not_stated"});
  load.skewed = routing == "skewed";
  if (const auto skew = typed.find("skew_exponent"); skew && load.skewed)
    load.skew_exponent = skew->as_ratio(0, 8);
  return load;
}

std::vector<std::vector<std::uint32_t>> heaviest_rank_rows(const ExpertLoad& load) {
  if (!load.skewed) return {even_rows(load)};
  Random random(1);
  std::vector<std::vector<std::uint32_t>> draws;
  for (int draw = 0; draw < kDraws; ++draw) draws.push_back(skewed_rows(load, random));
  return draws;
}

}  // namespace moesim
