// Measures the profile of a trace.
#include "workloads/traces/synth_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "sim/core/error.h"

namespace moesim {
namespace {

using Load = std::vector<std::uint64_t>;

// Every place at the hot end, where the curve is steep, then every third, and the last.
std::vector<int> curve_places(int experts) {
  std::vector<int> places;
  for (int place = 0; place < experts - 1; place += place < 8 ? 1 : std::max(1, place / 6))
    places.push_back(place);
  places.push_back(experts - 1);
  return places;
}

// Load over mean by falling place.
std::vector<double> falling_load(Load load) {
  std::sort(load.begin(), load.end(), std::greater<>());
  const double mean =
      static_cast<double>(std::accumulate(load.begin(), load.end(), std::uint64_t{0})) /
      static_cast<double>(load.size());
  std::vector<double> falling;
  falling.reserve(load.size());
  for (const std::uint64_t copies : load) falling.push_back(static_cast<double>(copies) / mean);
  return falling;
}

std::vector<double> curve_of(Load load, const std::vector<int>& places) {
  const std::vector<double> falling = falling_load(std::move(load));
  std::vector<double> curve;
  curve.reserve(places.size());
  for (const int place : places) curve.push_back(falling[static_cast<std::size_t>(place)]);
  return curve;
}

// A domain's load in one layer: of prefill, which the curve stands for, or else of decode; of all
// domains where this one has no copies.
Load domain_load(const std::vector<Load>& labelled, std::size_t domain) {
  const auto routed = [](const Load& load) {
    return std::any_of(load.begin(), load.end(), [](std::uint64_t copies) { return copies > 0; });
  };
  for (std::size_t phase = 0; phase < 2; ++phase)
    if (routed(labelled[domain * 2 + phase])) return labelled[domain * 2 + phase];
  Load all(labelled.front().size(), 0);
  for (const Load& load : labelled)
    for (std::size_t expert = 0; expert < all.size(); ++expert) all[expert] += load[expert];
  if (!routed(all)) throw InputError("trace fit: a layer of the trace routes nothing");
  return all;
}

// Share of the variance of log load that lies between groups, from the mean squares within and
// between (analysis of variance, one way), mean over layers and domains.
double group_share(const std::vector<std::vector<Load>>& loads, int groups) {
  double share = 0;
  int count = 0;
  for (const auto& of_layer : loads)
    for (const Load& load : of_layer) {
      const std::size_t in_group = load.size() / static_cast<std::size_t>(groups);
      if (groups < 2 || in_group < 2) return 0;
      double sum = 0, within = 0, squares = 0;
      for (std::size_t first = 0; first < load.size(); first += in_group) {
        double mean = 0, square = 0;
        for (std::size_t i = first; i < first + in_group; ++i) {
          const double value = std::log(static_cast<double>(load[i]) + 1);
          mean += value / static_cast<double>(in_group);
          square += value * value;
        }
        within += square - static_cast<double>(in_group) * mean * mean;
        sum += mean;
        squares += mean * mean;
      }
      const double own =
          within / static_cast<double>(load.size() - static_cast<std::size_t>(groups));
      const double between = (squares - sum * sum / groups) / (groups - 1);
      const double common = std::max(0.0, between - own / static_cast<double>(in_group));
      share += own + common > 0 ? common / (own + common) : 0;
      ++count;
    }
  return share / count;
}

// Requests like the trace's: mean lengths, their spread, the mix of domains.
SynthRequest request_like(const RoutingTrace& trace, const TraceStats& stats) {
  std::map<std::int32_t, std::array<double, 2>> lengths;
  for (std::size_t row = 0; row < trace.tokens(); ++row)
    ++lengths[trace.request[row]][trace.phase[row]];
  const auto requests = static_cast<double>(lengths.size());
  double logs = 0, squares = 0;
  std::array<double, 2> sum{};
  for (const auto& entry : lengths) {
    const double log_length = std::log(entry.second[0] + entry.second[1]);
    logs += log_length / requests;
    squares += log_length * log_length / requests;
    for (std::size_t phase = 0; phase < 2; ++phase) sum[phase] += entry.second[phase];
  }
  SynthRequest request;
  request.prompt_tokens = static_cast<int>(std::round(sum[0] / requests));
  request.answer_tokens = static_cast<int>(std::round(sum[1] / requests));
  if (request.prompt_tokens + request.answer_tokens == 0) request.prompt_tokens = 1;
  request.length_spread = std::min(4.0, std::sqrt(std::max(0.0, squares - logs * logs)));
  DomainMix mix;
  for (std::size_t i = 0; i < stats.header.domains.size(); ++i)
    if (stats.tokens_by_domain[i] > 0)
      mix.shares.emplace_back(stats.header.domains[i],
                              static_cast<double>(stats.tokens_by_domain[i]));
  request.mixes.push_back(std::move(mix));
  // As many tokens as the statistics are counted over: few tokens raise shares, in both alike.
  const double experts = trace.header.experts, top_k = trace.header.top_k;
  const double counted = kPairsPerCell * experts * experts / (top_k * top_k);
  constexpr double kLeastTokens = 20000;
  request.tokens = static_cast<std::int64_t>(
      std::min(static_cast<double>(trace.tokens()), std::max(kLeastTokens, counted)));
  request.layer_ids = trace.header.layer_ids;
  return request;
}

void check_shape(const TraceHeader& header, const FitOptions& options) {
  if (header.experts > 512 || header.layer_ids.size() > 96)
    throw InputError(
        fmt::format("trace fit: {} experts in {} MoE layers, allowed: at most 512 in 96",
                    header.experts, header.layer_ids.size()));
  if (options.groups < 1 || options.groups > 64 || header.experts % options.groups != 0)
    throw InputError(
        fmt::format("trace fit: groups is {}, allowed: 1 to 64 that divide the {} experts",
                    options.groups, header.experts));
  if (options.kept_groups < 1 || options.kept_groups > options.groups)
    throw InputError(fmt::format("trace fit: kept groups is {}, allowed: 1 to {} (the groups)",
                                 options.kept_groups, options.groups));
}

// The mean over layers, all or nothing.
void set_overlap(SynthProfile& profile, const TraceStats& stats) {
  for (const LayerTraceStats& layer : stats.layers) {
    if (!layer.phases.counted) return;
    for (std::size_t i = 0; i < profile.phase_overlap.size(); ++i)
      profile.phase_overlap[i] += layer.phases.share[i] / static_cast<double>(stats.layers.size());
  }
}

SynthLayer layer_of(const LayerTraceStats& stats,
                    const std::vector<Load>& loads,
                    const std::vector<int>& places) {
  SynthLayer layer;
  std::vector<LoadStats> domains;
  for (const Load& load : loads) {
    layer.load.push_back(curve_of(load, places));
    domains.push_back(load_stats(load));
  }
  layer.domain_distance = domain_distance(domains);
  layer.targets = {
      stats.next_layer.share, stats.next_token.share, stats.same_first_expert.share, {}, {}};
  for (const LoadStats& domain : stats.by_domain)
    if (domain.copies > 0) layer.targets.max_over_mean.push_back(domain.max_over_mean);
  layer.targets.max_over_mean.push_back(stats.all.max_over_mean);
  if (layer.targets.max_over_mean.size() != loads.size() + 1) layer.targets.max_over_mean.clear();
  layer.targets.all_load = falling_load(stats.all.load);
  return layer;
}

}  // namespace

FittedProfile fit_profile(const RoutingTrace& trace, const FitOptions& options) {
  check_shape(trace.header, options);
  const TraceStats stats = trace_stats(trace, options.threads);
  const TraceLoads labelled = trace_loads(trace, options.threads);
  SynthProfile profile;
  profile.name = trace.header.model;
  profile.experts = trace.header.experts;
  profile.top_k = trace.header.top_k;
  profile.moe_layers = static_cast<int>(trace.moe_layers());
  profile.groups = options.groups;
  profile.kept_groups = options.kept_groups;
  profile.places = curve_places(profile.experts);
  std::vector<std::size_t> domains;  // that have tokens
  for (std::size_t i = 0; i < trace.header.domains.size(); ++i) {
    if (stats.tokens_by_domain[i] == 0) continue;
    domains.push_back(i);
    profile.domains.push_back(trace.header.domains[i]);
  }
  std::vector<std::vector<Load>> loads;  // [moe layer][domain]
  for (std::size_t layer = 0; layer < trace.moe_layers(); ++layer) {
    loads.emplace_back();
    for (const std::size_t domain : domains)
      loads.back().push_back(domain_load(labelled[layer], domain));
    profile.layers.push_back(layer_of(stats.layers[layer], loads.back(), profile.places));
    profile.layers.back().depth =
        profile.moe_layers == 1 ? 0 : static_cast<double>(layer) / (profile.moe_layers - 1);
  }
  profile.group_share = group_share(loads, options.groups);
  set_overlap(profile, stats);
  return solve_profile(std::move(profile), request_like(trace, stats), options);
}

}  // namespace moesim
