// nvl72: racks whose GPUs form one NVLink domain (a "node" here), joined rail by rail: the GPUs of
// the same place in their compute tray share a leaf. The rack's 18 NVSwitch chips are one device,
// since every GPU has one link to each and spreads its traffic evenly over them.
#include <algorithm>
#include <string>

#include "topologies/rails.h"

namespace moesim {
namespace {

const std::vector<std::string> kOptions{"oversubscription", "planes", "gpus_per_tray"};

Fabric build_nvl72(const TopologyOptions& options) {
  check_options(options, "nvl72", kOptions);
  const int rails = std::min(options.gpus_per_tray, options.gpus_per_node);
  if (options.gpus_per_node % rails != 0)
    refuse_option("gpus_per_tray", "trays of " + std::to_string(rails) +
                                       " GPUs do not make a rack of " +
                                       std::to_string(options.gpus_per_node) + " (gpus_per_node)");
  return build_rails(options, "nvl72", rails);
}

const Registered<TopologyPart> registered{
    "nvl72",
    "racks that are one NVLink domain each, a rail for each GPU of a tray",
    {build_nvl72, kOptions}};

}  // namespace
}  // namespace moesim
