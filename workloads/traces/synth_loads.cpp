// Popularity alone, mixed over domains.
#include "workloads/traces/synth_loads.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "workloads/traces/synth_tables.h"

namespace moesim {
namespace {

std::vector<std::size_t> curves_of(const SynthProfile& profile, const std::string& domain) {
  std::vector<std::size_t> curves;
  for (std::size_t i = 0; i < profile.domains.size(); ++i)
    if (domain.empty() || profile.domains[i] == domain) curves.push_back(i);
  if (curves.empty())
    throw InputError("profile " + profile.name + " has no domain \"" + domain + "\"" +
                     name_help(domain, profile.domains));
  return curves;
}

SynthShape shape_of(const SynthProfile& profile, const LoadRequest& request, std::size_t domains) {
  const auto or_else = [](int value, int fallback) { return value != 0 ? value : fallback; };
  SynthShape shape;
  shape.experts = or_else(request.experts, profile.experts);
  shape.top_k = or_else(request.top_k, profile.top_k);
  shape.moe_layers = or_else(request.moe_layers, profile.moe_layers);
  shape.groups = shape.kept_groups = std::max(1, request.groups);
  if (shape.experts % shape.groups != 0)
    throw InputError(
        fmt::format("{} groups do not divide {} experts", shape.groups, shape.experts));
  shape.domains = domains;
  shape.decode = request.decode;
  for (std::size_t domain = 0; domain < domains; ++domain)
    for (const bool decode : {false, true})
      shape.token_share.push_back(decode == request.decode ? 1.0 / static_cast<double>(domains)
                                                           : 0.0);
  return shape;
}

}  // namespace

std::vector<std::vector<double>> expected_loads(const SynthProfile& profile,
                                                const LoadRequest& request) {
  const std::vector<std::size_t> curves = curves_of(profile, request.domain);
  const SynthShape shape = shape_of(profile, request, curves.size());
  std::vector<std::vector<double>> by_layer;
  for (int layer = 0; layer < shape.moe_layers; ++layer) {
    Random random = Random::named(request.seed, fmt::format("popularity {}", layer));
    const LayerLoads loads = popularity(profile, shape, curves, layer, random);
    std::vector<double> mixed(static_cast<std::size_t>(shape.experts), 0);
    for (const auto& of_domain : loads)
      for (std::size_t expert = 0; expert < mixed.size(); ++expert)
        mixed[expert] += of_domain.back()[expert] / static_cast<double>(loads.size());
    by_layer.push_back(std::move(mixed));
  }
  return by_layer;
}

}  // namespace moesim
