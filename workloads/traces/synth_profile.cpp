// Profiles of the synthesizer: read, written, and interpolated over depth and number of experts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "sim/io/files.h"
#include "workloads/traces/synth.h"

namespace moesim {
namespace {

constexpr double kLeastLoad = 1e-4;  // stands for none where logarithms are taken

// Straight lines between points in log-log, where a Zipf law is straight.
double log_line(const std::vector<int>& places, const std::vector<double>& load, double place) {
  const auto above = std::upper_bound(places.begin(), places.end(), place);
  if (above == places.begin()) return std::max(load.front(), kLeastLoad);
  if (above == places.end()) return std::max(load.back(), kLeastLoad);
  const auto i = static_cast<std::size_t>(above - places.begin());
  const double low = std::log(places[i - 1] + 1.0), high = std::log(places[i] + 1.0);
  const double share = (std::log(place + 1.0) - low) / (high - low);
  return std::exp((1 - share) * std::log(std::max(load[i - 1], kLeastLoad)) +
                  share * std::log(std::max(load[i], kLeastLoad)));
}

struct DepthPlace {
  std::size_t below, above;
  double share;  // of `above`
};

DepthPlace find_depth(const SynthProfile& profile, double depth) {
  const auto above = std::find_if(profile.layers.begin(), profile.layers.end(),
                                  [&](const SynthLayer& layer) { return layer.depth >= depth; });
  if (above == profile.layers.begin()) return {0, 0, 0};
  if (above == profile.layers.end())
    return {profile.layers.size() - 1, profile.layers.size() - 1, 0};
  const auto i = static_cast<std::size_t>(above - profile.layers.begin());
  const double low = profile.layers[i - 1].depth, high = profile.layers[i].depth;
  return {i - 1, i, (depth - low) / (high - low)};
}

std::vector<double> read_curve(const JsonNode& node, std::size_t points, const char* named_by) {
  std::vector<double> load;
  const auto items = node.items();
  if (items.size() != points)
    node.fail(fmt::format("has {} values, but {} names {}", items.size(), named_by, points));
  load.reserve(points);
  for (const JsonNode& item : items) {
    load.push_back(item.as_ratio(0, 1e6));
    if (load.size() > 1 && load.back() > load[load.size() - 2] * (1 + 1e-9))
      item.fail("is above the value before it; a load curve falls");
  }
  if (load.front() <= 0) node.fail("begins with 0: no expert would have load");
  return load;
}

SynthTargets read_targets(const JsonNode& node, const SynthProfile& profile) {
  node.allow_only({"next_layer", "next_token", "same_first", "max_over_mean", "all_load"});
  const std::size_t domains = profile.domains.size();
  SynthTargets targets;
  const auto read = [&](const char* key, double& into) {
    if (const auto value = node.find(key)) into = value->as_ratio(0, 1);
  };
  read("next_layer", targets.next_layer);
  read("next_token", targets.next_token);
  read("same_first", targets.same_first);
  if (const auto values = node.find("max_over_mean")) {
    for (const JsonNode& value : values->items())
      targets.max_over_mean.push_back(value.as_ratio(1, 512));
    if (targets.max_over_mean.size() != domains + 1)
      values->fail(fmt::format("must hold {} numbers: of each domain, then of all", domains + 1));
  }
  if (const auto load = node.find("all_load"))
    targets.all_load = read_curve(*load, static_cast<std::size_t>(profile.experts), "\"experts\"");
  return targets;
}

SynthLayer read_layer(const JsonNode& node, const SynthProfile& profile) {
  node.allow_only({"depth", "domain_distance", "class_spread", "next_layer_keep", "next_token_keep",
                   "repeat_first", "load", "targets"});
  SynthLayer layer;
  layer.depth = node.at("depth").as_ratio(0, 1);
  if (!profile.layers.empty() && layer.depth <= profile.layers.back().depth)
    node.at("depth").fail("must be above that of the layer before");
  const auto chance = [&](const char* key, double most) {
    const auto value = node.find(key);
    return value ? value->as_ratio(0, most) : 0.0;
  };
  layer.domain_distance = chance("domain_distance", 1);
  layer.class_spread = chance("class_spread", 8);
  layer.next_layer_keep = chance("next_layer_keep", 1);
  layer.next_token_keep = chance("next_token_keep", 1);
  layer.repeat_first = chance("repeat_first", 1);
  if (const auto targets = node.find("targets")) layer.targets = read_targets(*targets, profile);
  const JsonNode load = node.at("load");
  load.allow_only(profile.domains);
  for (const std::string& domain : profile.domains)
    layer.load.push_back(read_curve(load.at(domain), profile.places.size(), "\"places\""));
  return layer;
}

std::vector<int> read_places(const JsonNode& node, int experts) {
  std::vector<int> places;
  for (const JsonNode& item : node.items()) {
    places.push_back(static_cast<int>(item.as_int(0, experts - 1)));
    if (places.size() > 1 && places.back() <= places[places.size() - 2])
      item.fail("must be above the place before it");
  }
  if (places.empty() || places.front() != 0 || places.back() != experts - 1)
    node.fail(fmt::format("must begin with 0 and end with {}, the last expert", experts - 1));
  return places;
}

void read_shape(const JsonNode& root, SynthProfile& profile) {
  profile.experts = static_cast<int>(root.at("experts").as_int(1, 512));
  profile.top_k = static_cast<int>(root.at("top_k").as_int(1, profile.experts));
  profile.moe_layers = static_cast<int>(root.at("moe_layers").as_int(1, 96));
  if (const auto groups = root.find("groups"))
    profile.groups = static_cast<int>(groups->as_int(1, 64));
  if (const auto kept = root.find("kept_groups"))
    profile.kept_groups = static_cast<int>(kept->as_int(1, profile.groups));
  if (const auto share = root.find("group_share")) profile.group_share = share->as_ratio(0, 1);
  if (const auto mix = root.find("loads_of_mix")) profile.loads_of_mix = mix->as_bool();
  if (const auto shift = root.find("phase_shift")) profile.phase_shift = shift->as_ratio(0, 512);
  if (const auto overlap = root.find("phase_overlap")) {
    const auto shares = overlap->items();
    if (shares.size() != profile.phase_overlap.size())
      overlap->fail("must hold three shares: of the top 5, 10 and 20 experts");
    for (std::size_t i = 0; i < shares.size(); ++i)
      profile.phase_overlap[i] = shares[i].as_ratio(0, 1);
  }
  if (const auto classes = root.find("token_classes"))
    profile.token_classes = static_cast<int>(classes->as_int(1, 64));
}

std::string json_text(const std::string& text) { return nlohmann::json(text).dump(); }

// Four digits: the statistics are held to some percent.
std::string numbers(const std::vector<double>& values) {
  std::vector<std::string> texts;
  texts.reserve(values.size());
  for (const double value : values) texts.push_back(fmt::format("{:.4g}", value));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string targets_json(const SynthTargets& targets) {
  std::string text =
      fmt::format("{{\"next_layer\": {:.4g}, \"next_token\": {:.4g}, \"same_first\": {:.4g}",
                  targets.next_layer, targets.next_token, targets.same_first);
  if (!targets.max_over_mean.empty())
    text += ", \"max_over_mean\": " + numbers(targets.max_over_mean);
  if (!targets.all_load.empty()) text += ",\n     \"all_load\": " + numbers(targets.all_load);
  return text + "}";
}

std::string layer_json(const SynthLayer& layer, const std::vector<std::string>& domains) {
  std::string text = fmt::format(
      "    {{\"depth\": {:.6g}, \"domain_distance\": {:.4g}, \"class_spread\": {:.4g},\n"
      "     \"next_layer_keep\": {:.4g}, \"next_token_keep\": {:.4g}, \"repeat_first\": {:.4g},\n"
      "     \"targets\": {},\n     \"load\": {{",
      layer.depth, layer.domain_distance, layer.class_spread, layer.next_layer_keep,
      layer.next_token_keep, layer.repeat_first, targets_json(layer.targets));
  for (std::size_t i = 0; i < domains.size(); ++i)
    text += fmt::format("{}\n       {}: {}", i == 0 ? "" : ",", json_text(domains[i]),
                        numbers(layer.load[i]));
  return text + "}}";
}

}  // namespace

std::vector<double> load_curve(const SynthProfile& profile,
                               std::size_t domain,
                               double depth,
                               int experts) {
  const DepthPlace at = find_depth(profile, depth);
  const std::vector<double>& below = profile.layers[at.below].load[domain];
  const std::vector<double>& above = profile.layers[at.above].load[domain];
  std::vector<double> curve;
  curve.reserve(static_cast<std::size_t>(experts));
  const double stretch = static_cast<double>(profile.experts) / experts;
  for (int i = 0; i < experts; ++i) {
    const double place = std::max(0.0, (i + 0.5) * stretch - 0.5);
    curve.push_back(std::exp((1 - at.share) * std::log(log_line(profile.places, below, place)) +
                             at.share * std::log(log_line(profile.places, above, place))));
  }
  const double mean = std::accumulate(curve.begin(), curve.end(), 0.0) / experts;
  for (double& load : curve) load /= mean;
  return curve;
}

SynthLayer layer_at(const SynthProfile& profile, double depth) {
  const DepthPlace at = find_depth(profile, depth);
  const SynthLayer& below = profile.layers[at.below];
  const SynthLayer& above = profile.layers[at.above];
  SynthLayer layer;
  layer.depth = depth;
  for (double SynthLayer::*value :
       {&SynthLayer::domain_distance, &SynthLayer::class_spread, &SynthLayer::next_layer_keep,
        &SynthLayer::next_token_keep, &SynthLayer::repeat_first})
    layer.*value = (1 - at.share) * below.*value + at.share * above.*value;
  if (at.share == 0) layer.targets = below.targets;
  if (at.share == 1) layer.targets = above.targets;
  return layer;
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(data_path("workloads/traces/profiles")))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

SynthProfile load_profile(const std::string& name_or_path) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json"))
    return read_profile(read_json_file(name_or_path));
  const std::vector<std::string> names = profile_names();
  std::string best;
  for (const std::string& name : names) {
    const bool fits = name_or_path == name || name_or_path.starts_with(name + "-");
    if (fits && name.size() > best.size()) best = name;
  }
  if (best.empty())
    throw InputError(fmt::format("unknown profile \"{}\"{}; or a path to a profile (.json)",
                                 name_or_path, name_help(name_or_path, names)));
  return read_profile(read_json_file(data_path("workloads/traces/profiles/" + best + ".json")));
}

SynthProfile read_profile(const JsonNode& root) {
  root.allow_only({"name", "experts", "top_k", "moe_layers", "groups", "kept_groups", "group_share",
                   "loads_of_mix", "phase_shift", "phase_overlap", "token_classes", "places",
                   "domains", "layers"});
  SynthProfile profile;
  profile.name = root.at("name").as_string();
  read_shape(root, profile);
  profile.places = read_places(root.at("places"), profile.experts);
  for (const JsonNode& domain : root.at("domains").items()) {
    profile.domains.push_back(domain.as_string());
    if (std::count(profile.domains.begin(), profile.domains.end(), profile.domains.back()) > 1)
      domain.fail("is named twice");
  }
  if (profile.domains.empty()) root.at("domains").fail("names no domain");
  for (const JsonNode& layer : root.at("layers").items())
    profile.layers.push_back(read_layer(layer, profile));
  if (profile.layers.empty()) root.at("layers").fail("holds no layer");
  return profile;
}

std::string profile_json(const SynthProfile& profile) {
  std::vector<std::string> domains, layers;
  for (const std::string& domain : profile.domains) domains.push_back(json_text(domain));
  for (const SynthLayer& layer : profile.layers)
    layers.push_back(layer_json(layer, profile.domains));
  return fmt::format(
      "{{\n  \"name\": {},\n"
      "  \"experts\": {}, \"top_k\": {}, \"moe_layers\": {}, \"groups\": {}, \"kept_groups\": {},\n"
      "  \"group_share\": {:.4g}, \"loads_of_mix\": {},\n"
      "  \"phase_shift\": {:.4g}, \"phase_overlap\": [{:.4g}],\n"
      "  \"token_classes\": {},\n"
      "  \"places\": [{}],\n  \"domains\": [{}],\n  \"layers\": [\n{}\n  ]\n}}\n",
      json_text(profile.name), profile.experts, profile.top_k, profile.moe_layers, profile.groups,
      profile.kept_groups, profile.group_share, profile.loads_of_mix, profile.phase_shift,
      fmt::join(profile.phase_overlap, ", "), profile.token_classes,
      fmt::join(profile.places, ", "), fmt::join(domains, ", "), fmt::join(layers, ",\n"));
}

}  // namespace moesim
