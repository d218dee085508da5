// nvlink_mesh: one node without a switch; a direct cable between every two GPUs, each with an equal
// part of a GPU's NVLink (or xGMI) bandwidth. One pair alone gets only that part.
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

const std::vector<std::string> kOptions{"scale_up"};

Fabric build_nvlink_mesh(const TopologyOptions& options) {
  check_options(options, "nvlink_mesh", kOptions);
  if (options.nodes != 1)
    refuse_option("nodes", "topology \"nvlink_mesh\" joins 1 node, not " +
                               std::to_string(options.nodes) +
                               "; use \"rail_optimized\" with \"scale_up\": \"mesh\"");
  TopologyOptions meshed = options;
  meshed.scale_up = ScaleUp::mesh;
  Fabric fabric;
  fabric.topology = "nvlink_mesh";
  const NodeCables cables(fabric, meshed);
  fabric.route = [cables](Rank source, Rank destination, std::uint32_t, std::vector<LinkId>& path) {
    cables.route(source, destination, path);
  };
  return fabric;
}

const Registered<TopologyPart> registered{"nvlink_mesh",
                                          "one node, a cable between every two GPUs and no switch",
                                          {build_nvlink_mesh, kOptions}};

}  // namespace
}  // namespace moesim
