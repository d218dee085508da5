// rail_optimized: an NVSwitch (or a mesh) in every node, a NIC for every GPU, one leaf switch for
// each rail (the GPUs of the same local rank), spines that join all leaves. With planes, a GPU's
// NIC bandwidth is split over several such networks (DeepSeek-AI, Insights into DeepSeek-V3).
#include "topologies/rails.h"

namespace moesim {
namespace {

const std::vector<std::string> kOptions{"oversubscription", "scale_up", "planes"};

Fabric build_rail_optimized(const TopologyOptions& options) {
  check_options(options, "rail_optimized", kOptions);
  return build_rails(options, "rail_optimized", options.gpus_per_node);
}

const Registered<TopologyPart> registered{
    "rail_optimized",
    "nodes of NVLink, one leaf switch for each rail, spines across rails",
    {build_rail_optimized, kOptions}};

}  // namespace
}  // namespace moesim
