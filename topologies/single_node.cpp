// single_node: one NVLink domain; every GPU has one cable, its NVLinks taken together, to one
// NVSwitch device that never blocks.
#include <string>

#include "sim/cluster/fabric.h"

namespace moesim {
namespace {

Fabric build_single_node(const TopologyOptions& options) {
  check_options(options);
  if (options.nodes != 1)
    throw InputError(Location{"", 0, 0, "cluster.nodes"},
                     "topology \"single_node\" joins 1 node, not " + std::to_string(options.nodes) +
                         "; use \"rail_optimized\"");
  Fabric fabric;
  fabric.topology = "single_node";
  fabric.ranks = fabric.ranks_per_node = options.gpus_per_node;
  for (int rank = 0; rank < fabric.ranks; ++rank)
    fabric.add_device(DeviceKind::gpu, "gpu " + std::to_string(rank));
  const Vertex nvswitch = fabric.add_device(DeviceKind::nvswitch, "nvswitch 0");

  std::vector<Fabric::Cable> cables;
  for (Vertex gpu = 0; gpu < nvswitch; ++gpu)
    cables.push_back(fabric.connect(gpu, nvswitch, "nvlink " + std::to_string(gpu),
                                    LinkTier::nvlink, options.nvlink, options.nvlink_latency / 2));
  fabric.route = [cables](Rank source, Rank destination, std::uint32_t, std::vector<LinkId>& path) {
    if (source == destination) return;
    path.push_back(cables[index(source)].out);
    path.push_back(cables[index(destination)].in);
  };
  return fabric;
}

const Registered<TopologyPart> registered{"single_node", "one NVLink domain behind one switch",
                                          build_single_node};

}  // namespace
}  // namespace moesim
