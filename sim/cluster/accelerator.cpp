// Accelerators by name or path; every number stands in the JSON with its unit.
#include "sim/cluster/accelerator.h"

#include <algorithm>

#include "sim/cluster/json_folder.h"
#include "sim/io/kept_json.h"

namespace moesim {

std::vector<std::string> accelerator_names() { return json_names("topologies/accelerators"); }

Accelerator load_accelerator(const std::string& name_or_path) {
  const std::string path = json_path("topologies/accelerators", name_or_path, "accelerator");
  const JsonNode node = kept_json_file(path);
  node.allow_only({"name", "source", "memory", "memory_bandwidth", "peak", "nvlink", "pcie", "sms",
                   "in_network_reduction", "gpus_per_node"});
  Accelerator accelerator;
  accelerator.name = node.at("name").as_string();
  accelerator.source = node.at("source").as_string();
  accelerator.memory = node.at("memory").as_bytes();
  accelerator.memory_bandwidth = node.at("memory_bandwidth").as_bytes_per_second();
  const JsonNode peak = node.at("peak");
  peak.allow_only({"bf16", "fp8", "fp4", "f32"});
  for (const std::string& precision : peak.keys()) {
    if (!precision.starts_with("_"))
      accelerator.peak[precision] = peak.at(precision).as_flops_per_second();
  }
  if (!peak.has("bf16")) peak.fail("needs the dense \"bf16\" peak");
  accelerator.nvlink = node.at("nvlink").as_bytes_per_second();
  if (const auto pcie = node.find("pcie")) accelerator.pcie = pcie->as_bytes_per_second();
  if (const auto sms = node.find("sms")) accelerator.sms = static_cast<int>(sms->as_int(1, 10000));
  if (const auto reduction = node.find("in_network_reduction"))
    accelerator.in_network_reduction = reduction->as_bool();
  accelerator.gpus_per_node = static_cast<int>(node.at("gpus_per_node").as_int(1, 65536));
  return accelerator;
}

}  // namespace moesim
