// One function for each quant_method.
#include "workloads/forward/quantization.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace moesim {
namespace {

// Refuses any value of `key` but those given; absent and null are fine.
void only(const JsonNode& node, const char* key, const std::vector<nlohmann::json>& implemented) {
  const auto value = node.find(key);
  if (!value) return;
  for (const nlohmann::json& choice : implemented)
    if (value->json() == choice) return;
  value->fail(fmt::format("{} is not implemented; only {} is", value->json().dump(),
                          nlohmann::json(implemented).dump()));
}

void check_fp8(const JsonNode& node) {
  only(node, "fmt", {"e4m3", "float8_e4m3fn"});
  only(node, "weight_block_size", {nlohmann::json::array({128, 128})});
}

void check_compressed(const JsonNode& node) {
  only(node, "format", {"pack-quantized"});
  const JsonNode groups = node.at("config_groups");
  for (const std::string& name : groups.keys()) {
    const JsonNode weights = groups.at(name).at("weights");
    only(weights, "num_bits", {4});
    only(weights, "type", {"int"});
    only(weights, "symmetric", {true});
    only(weights, "strategy", {"group", "channel"});
    only(weights, "actorder", {false});
    only(weights, "dynamic", {false});
  }
}

}  // namespace

void check_quantization(ConfigReader& config) {
  const auto node = config.find("quantization_config");
  if (!node) return;
  const std::string method =
      node->at("quant_method").as_choice({"fp8", "mxfp4", "compressed-tensors"}, "quant_method");
  if (method == "fp8") check_fp8(*node);
  if (method == "compressed-tensors") check_compressed(*node);
}

}  // namespace moesim
