// Formats by name.
#include "sim/scenario/load_precision.h"

namespace moesim {
namespace {

WeightFormat read_weight_format(const JsonNode& node) {
  return weight_format_named(node.as_choice(weight_format_names(), "precision"));
}

PayloadFormat read_payload(const JsonNode& node) {
  return payload_named(node.as_choice(payload_names(), "precision"));
}

}  // namespace

Precision read_precision(const std::optional<JsonNode>& node, const MoeModel& model) {
  Precision precision;
  precision.experts = model.expert_format;  // as the checkpoint is published
  precision.dense = model.dense_format;
  precision.attention = model.attention_format;
  if (!node) return precision;
  node->allow_only({"experts", "dense", "attention", "dispatch", "combine", "kv_cache"});
  if (const auto value = node->find("experts")) precision.experts = read_weight_format(*value);
  if (const auto value = node->find("dense")) precision.dense = read_weight_format(*value);
  if (const auto value = node->find("attention")) precision.attention = read_weight_format(*value);
  if (const auto value = node->find("dispatch")) precision.dispatch = read_payload(*value);
  if (const auto value = node->find("combine")) precision.combine = read_payload(*value);
  if (const auto value = node->find("kv_cache"))
    precision.kv_cache = value->as_choice({"bf16", "fp8"}, "precision") == "fp8"
                             ? WeightFormat::fp8
                             : WeightFormat::bf16;
  return precision;
}

}  // namespace moesim
