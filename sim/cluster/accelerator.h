// Accelerator: one GPU's datasheet, read from topologies/accelerators/*.json, each number with its
// source.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/core/units.h"

namespace moesim {

struct Accelerator {
  std::string name;    // "h100-sxm"
  std::string source;  // where the numbers were read
  Bytes memory;        // device memory, as the vendor states it
  BytesPerSecond memory_bandwidth;
  std::map<std::string, FlopsPerSecond>
      peak;               // dense (no sparsity) by precision: "bf16", "fp8", "fp4", "f32"
  BytesPerSecond nvlink;  // scale-up, one direction
  BytesPerSecond pcie;    // to the host, one direction
  int sms = 0;
  bool in_network_reduction = false;  // NVSwitches that join it can add what passes through them
  int gpus_per_node = 8;
  bool operator==(const Accelerator&) const = default;
};

Accelerator load_accelerator(const std::string& name_or_path);  // InputError with the nearest name
std::vector<std::string> accelerator_names();                   // sorted

}  // namespace moesim
