// single_node: one NVLink domain; every GPU has one cable, its NVLinks taken together, to one
// NVSwitch device that never blocks.
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

Fabric build_single_node(const TopologyOptions& options) {
  check_options(options, "single_node", {"oversubscription", "scale_up"});
  if (options.nodes != 1)
    refuse_option("nodes", "topology \"single_node\" joins 1 node, not " +
                               std::to_string(options.nodes) + "; use \"rail_optimized\"");
  Fabric fabric;
  fabric.topology = "single_node";
  const NodeCables cables(fabric, options);
  fabric.route = [cables](Rank source, Rank destination, std::uint32_t, std::vector<LinkId>& path) {
    cables.route(source, destination, path);
  };
  return fabric;
}

const Registered<TopologyPart> registered{"single_node", "one NVLink domain behind one switch",
                                          build_single_node};

}  // namespace
}  // namespace moesim
