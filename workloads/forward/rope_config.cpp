// Reading rope_scaling and rope_parameters.
#include <fmt/format.h>

#include <cmath>

#include "workloads/forward/rope.h"

namespace moesim {
namespace {

double number_or(const JsonNode& node, const char* key, double absent) {
  const auto value = node.find(key);
  return value ? value->as_number() : absent;
}

Yarn read_yarn(ConfigReader& config, const JsonNode& node) {
  Yarn yarn;
  yarn.factor = node.at("factor").as_ratio(1.0, 1e6);
  yarn.beta_fast = number_or(node, "beta_fast", yarn.beta_fast);
  yarn.beta_slow = number_or(node, "beta_slow", yarn.beta_slow);
  yarn.mscale = number_or(node, "mscale", 0);
  yarn.mscale_all_dim = number_or(node, "mscale_all_dim", 0);
  if (const auto value = node.find("attention_factor")) yarn.attention_factor = value->as_number();
  if (const auto value = node.find("truncate")) yarn.truncate = value->as_bool();
  yarn.original_positions = node.find("original_max_position_embeddings")
                                ? number_or(node, "original_max_position_embeddings", 0)
                                : static_cast<double>(config.size("max_position_embeddings"));
  if (yarn.original_positions < 1 || yarn.beta_fast <= 0 || yarn.beta_slow <= 0)
    node.fail("original_max_position_embeddings, beta_fast and beta_slow must be above zero");
  return yarn;
}

// The length behind which LongRoPE's long factors begin, where a key says so: the configuration's
// own, else one inside the object if the class reads that: transformers 5 (rope_parameters) and
// Phi-3.5-MoE (short_mscale) do, v4.57.1's other classes do not.
std::optional<double> longrope_positions(ConfigReader& config, const JsonNode& node) {
  const char* key = "original_max_position_embeddings";
  auto value = config.find(key);
  if (!value && (config.find("rope_parameters") || node.find("short_mscale")))
    value = node.find(key);
  if (!value) return {};
  return static_cast<double>(value->as_int(1, 1LL << 31));
}

std::vector<double> read_factors(const JsonNode& node, const char* key, std::int64_t dims) {
  const JsonNode list = node.at(key);
  std::vector<double> factors;
  for (const JsonNode& item : list.items()) {
    factors.push_back(item.as_number());
    if (factors.back() <= 0) item.fail("must be above 0: it divides a frequency");
  }
  if (factors.size() != static_cast<std::size_t>(dims / 2))
    list.fail(fmt::format("has {} factors; the {} rotated dimensions make {} pairs", factors.size(),
                          dims, dims / 2));
  return factors;
}

// Amplitude: attention_factor, else sqrt(1 + ln factor / ln original) where the model is stretched
// (transformers v4.57.1, _compute_longrope_parameters). Phi-3.5-MoE states one a list instead
// (short_mscale, long_mscale).
void read_longrope(ConfigReader& config, const JsonNode& node, RopeParameters& parameters) {
  parameters.short_factors = read_factors(node, "short_factor", parameters.dims);
  parameters.long_factors = read_factors(node, "long_factor", parameters.dims);
  const auto longest = static_cast<double>(config.size("max_position_embeddings"));
  const auto original = longrope_positions(config, node);
  parameters.original_positions = original.value_or(longest);
  const double factor = original ? longest / *original : number_or(node, "factor", 1);
  double amplitude = 1;
  if (factor > 1)
    amplitude = std::sqrt(1 + std::log(factor) / std::log(parameters.original_positions));
  amplitude = number_or(node, "attention_factor", amplitude);
  parameters.short_amplitude = number_or(node, "short_mscale", amplitude);
  parameters.long_amplitude = number_or(node, "long_mscale", amplitude);
}

void read_llama3(const JsonNode& node, RopeParameters& parameters) {
  parameters.factor = node.at("factor").as_ratio(1, 1e6);
  parameters.low_frequency = node.at("low_freq_factor").as_ratio(1e-6, 1e6);
  parameters.high_frequency = node.at("high_freq_factor").as_ratio(1e-6, 1e6);
  parameters.original_positions =
      static_cast<double>(node.at("original_max_position_embeddings").as_int(1, 1LL << 31));
  if (parameters.high_frequency < parameters.low_frequency)
    node.at("high_freq_factor").fail("must be at least low_freq_factor");
}

struct KindKeys {
  RopeKind kind;
  std::vector<std::string> keys;
};

// The keys each type reads, besides rope_type, type, rope_theta and partial_rotary_factor.
const std::map<std::string, KindKeys>& kinds() {
  static const std::map<std::string, KindKeys> all{
      {"default", {RopeKind::plain, {"mrope_section", "mrope_interleaved"}}},
      {"none", {RopeKind::plain, {}}},
      {"mrope", {RopeKind::plain, {"mrope_section", "mrope_interleaved"}}},
      {"linear", {RopeKind::linear, {"factor"}}},
      {"dynamic", {RopeKind::dynamic_ntk, {"factor", "original_max_position_embeddings"}}},
      {"yarn",
       {RopeKind::yarn,
        {"factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor",
         "truncate", "original_max_position_embeddings"}}},
      {"llama3",
       {RopeKind::llama3,
        {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}}},
      {"longrope",
       {RopeKind::longrope,
        {"factor", "short_factor", "long_factor", "short_mscale", "long_mscale", "attention_factor",
         "original_max_position_embeddings"}}}};
  return all;
}

const KindKeys& kind_of(const JsonNode& node) {
  auto type = node.find("rope_type");
  if (!type) type = node.find("type");
  if (!type) return kinds().at("default");
  std::vector<std::string> names;
  names.reserve(kinds().size());
  for (const auto& entry : kinds()) names.push_back(entry.first);
  return kinds().at(type->as_choice(names, "implemented rope type"));
}

}  // namespace

RopeParameters read_rope_of(ConfigReader& config,
                            const std::optional<JsonNode>& node,
                            std::int64_t dims,
                            double theta) {
  RopeParameters parameters;
  parameters.dims = dims;
  parameters.theta = theta;
  if (dims > kLargestRopeDims)
    throw InputError(
        fmt::format("config.json: {} rotated dimensions a head are not implemented; at most {} are",
                    dims, kLargestRopeDims));
  if (!node) return parameters;
  const KindKeys& kind = kind_of(*node);
  std::vector<std::string> keys{"type", "rope_type", "rope_theta", "partial_rotary_factor"};
  keys.insert(keys.end(), kind.keys.begin(), kind.keys.end());
  node->allow_only(keys);
  if (const auto own = node->find("rope_theta")) parameters.theta = own->as_ratio(1.001, 1e12);
  parameters.kind = kind.kind;
  switch (kind.kind) {
    case RopeKind::plain:
      break;
    case RopeKind::yarn:
      parameters.yarn = read_yarn(config, *node);
      break;
    case RopeKind::llama3:
      read_llama3(*node, parameters);
      break;
    case RopeKind::longrope:
      read_longrope(config, *node, parameters);
      break;
    case RopeKind::dynamic_ntk:  // its class reads no original_max_position_embeddings
      parameters.original_positions = static_cast<double>(config.size("max_position_embeddings"));
      [[fallthrough]];
    case RopeKind::linear:
      parameters.factor = node->at("factor").as_ratio(1, 1e6);
  }
  if (parameters.kind == RopeKind::dynamic_ntk && dims <= 2)
    node->fail("dynamic scaling needs more than 2 rotated dimensions a head");
  return parameters;
}

RopeParameters read_rope(ConfigReader& config, std::int64_t dims, double default_theta) {
  const double theta = config.number_or("rope_theta", default_theta);
  auto node = config.find("rope_scaling");
  if (const auto newer = config.find("rope_parameters")) node = newer;
  if (theta <= 1) config.fail("rope_theta", "must be above 1");
  return read_rope_of(config, node, dims, theta);
}

}  // namespace moesim
