// Names of tiers and kinds of devices, in JSON and for people.
#include <algorithm>

#include "sim/cluster/fabric.h"
#include "sim/core/error.h"

namespace moesim {
namespace {

std::size_t place_of(const std::string& name,
                     const std::vector<std::string>& names,
                     const std::string& what) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError("unknown " + what + " \"" + name + "\"" + name_help(name, names));
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

std::string to_text(LinkTier tier) {
  static const std::vector<std::string> texts{
      "NVLink",           "NIC",   "leaf-spine", "spine-core", "dragonfly-local",
      "dragonfly-global", "torus", "PCIe",       "host"};
  return texts[static_cast<std::size_t>(tier)];
}

const std::vector<std::string>& tier_names() {
  static const std::vector<std::string> names{
      "nvlink",           "nic",   "leaf_spine", "spine_core", "dragonfly_local",
      "dragonfly_global", "torus", "pcie",       "host"};
  return names;
}

std::string tier_name(LinkTier tier) { return tier_names()[static_cast<std::size_t>(tier)]; }

LinkTier tier_named(const std::string& name) {
  return static_cast<LinkTier>(place_of(name, tier_names(), "tier"));
}

const std::vector<std::string>& device_kind_names() {
  static const std::vector<std::string> names{"gpu",    "nvswitch",    "leaf", "spine", "core",
                                              "switch", "pcie_switch", "cpu",  "nic"};
  return names;
}

std::string to_text(DeviceKind kind) { return device_kind_names()[static_cast<std::size_t>(kind)]; }

DeviceKind device_kind_named(const std::string& name) {
  return static_cast<DeviceKind>(place_of(name, device_kind_names(), "kind of device"));
}

}  // namespace moesim
