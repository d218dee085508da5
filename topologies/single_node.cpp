// single_node: one NVLink domain; every GPU has one cable, its NVLinks taken together, to one
// NVSwitch device that never blocks.
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

const std::vector<std::string> kOptions{"oversubscription", "scale_up"};

Fabric build_single_node(const TopologyOptions& options) {
  check_options(options, "single_node", kOptions);
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

const Registered<TopologyPart> registered{
    "single_node", "one NVLink domain behind one switch", {build_single_node, kOptions}};

}  // namespace
}  // namespace moesim
