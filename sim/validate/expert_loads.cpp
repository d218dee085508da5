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

// Whole numbers of the same sum: rounded down, and one more where most was cut off.
std::vector<std::uint32_t> rounded(const std::vector<double>& shares, double most) {
  std::vector<std::uint32_t> whole;
  std::vector<std::size_t> order(shares.size());
  double left = 0;
  for (const double share : shares) {
    whole.push_back(static_cast<std::uint32_t>(std::min(most, share)));
    left += share - whole.back();
  }
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return shares[a] - whole[a] > shares[b] - whole[b];
  });
  for (std::size_t next = 0; left >= 0.5 && next < order.size(); ++next) {
    if (whole[order[next]] >= most) continue;
    ++whole[order[next]];
    left -= 1;
  }
  return whole;
}

std::vector<std::uint32_t> skewed_rows(const ExpertLoad& load, Random& random) {
  const double copies = copies_of(load), tokens = copies / load.top_k;
  const bool many = copies > load.experts;
  std::vector<double> shares(static_cast<std::size_t>(load.experts));
  for (double& one : shares)
    one = power_law(random.uniform(), load.skew_exponent, many ? 1 : 0.01,
                    many ? std::max(1.0, 0.8 * tokens) : 2);
  const double scale = copies / std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& one : shares) one *= scale;
  const std::vector<std::uint32_t> rows = rounded(shares, tokens);
  std::vector<std::uint32_t> heaviest;
  double most = -1;
  for (auto first = rows.begin(); rows.end() - first >= load.local_experts;
       first += load.local_experts) {
    const double sum = std::accumulate(first, first + load.local_experts, 0.0);
    if (sum <= most) continue;
    most = sum;
    heaviest.assign(first, first + load.local_experts);
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
  draws.reserve(kDraws);
  for (int draw = 0; draw < kDraws; ++draw) draws.push_back(skewed_rows(load, random));
  return draws;
}

}  // namespace moesim
