// Formats by name.
#include "sim/scenario/load_precision.h"

#include <algorithm>
#include <string>
#include <vector>

namespace moesim {
namespace {

WeightFormat read_weight_format(const JsonNode& node) {
  const std::vector<WeightFormat> formats{WeightFormat::f32, WeightFormat::bf16, WeightFormat::fp8,
                                          WeightFormat::mxfp4, WeightFormat::int4};
  std::vector<std::string> names;
  names.reserve(formats.size());
  for (const WeightFormat format : formats) names.push_back(to_text(format));
  const std::string name = node.as_choice(names, "precision");
  return formats[static_cast<std::size_t>(std::find(names.begin(), names.end(), name) -
                                          names.begin())];
}

PayloadFormat read_payload(const JsonNode& node) {
  return payload_named(node.as_choice(payload_names(), "precision"));
}

}  // namespace

Precision read_precision(const std::optional<JsonNode>& node, const MoeModel& model) {
  Precision precision;
  precision.experts = model.expert_format;  // as the checkpoint is published
  precision.dense = model.dense_format;
  if (!node) return precision;
  node->allow_only({"experts", "dense", "dispatch", "combine", "kv_cache"});
  if (const auto value = node->find("experts")) precision.experts = read_weight_format(*value);
  if (const auto value = node->find("dense")) precision.dense = read_weight_format(*value);
  if (const auto value = node->find("dispatch")) precision.dispatch = read_payload(*value);
  if (const auto value = node->find("combine")) precision.combine = read_payload(*value);
  if (const auto value = node->find("kv_cache"))
    precision.kv_cache = value->as_choice({"bf16", "fp8"}, "precision") == "fp8"
                             ? WeightFormat::fp8
                             : WeightFormat::bf16;
  return precision;
}

}  // namespace moesim
