// ring_node: the GPUs of one node in a ring, each joined to its two neighbours by half of its
// NVLink bandwidth; traffic goes the shorter way round.
#include <string>
#include <vector>

#include "sim/cluster/fabric.h"

namespace {

using namespace moesim;

Fabric build_ring_node(const TopologyOptions& options) {
  check_options(options, "ring_node", {});
  if (options.nodes != 1)
    refuse_option("nodes",
                  "topology \"ring_node\" joins 1 node, not " + std::to_string(options.nodes));
  Fabric fabric;
  fabric.topology = "ring_node";
  fabric.ranks = fabric.ranks_per_node = options.gpus_per_node;
  for (int rank = 0; rank < fabric.ranks; ++rank)
    fabric.add_device(DeviceKind::gpu, "gpu " + std::to_string(rank));
  const auto size = static_cast<std::size_t>(fabric.ranks);
  fabric.passes_on.assign(size, 1);  // GPUs hand on what is not theirs; the checks must know
  std::vector<Fabric::Cable> next;   // by rank: the cable to the next one
  for (std::size_t gpu = 0; gpu < size; ++gpu)
    next.push_back(fabric.connect(gpu, (gpu + 1) % size, "ring " + std::to_string(gpu),
                                  LinkTier::nvlink, options.nvlink / 2, options.nvlink_latency));
  fabric.route = [next, size](Rank source, Rank destination, std::uint32_t,
                              std::vector<LinkId>& path) {
    const std::size_t forward = (index(destination) + size - index(source)) % size;
    std::size_t at = index(source);
    if (forward <= size / 2) {
      for (std::size_t hop = 0; hop < forward; ++hop, at = (at + 1) % size)
        path.push_back(next[at].out);
    } else {
      for (std::size_t hop = forward; hop < size; ++hop) {
        at = (at + size - 1) % size;
        path.push_back(next[at].in);
      }
    }
  };
  return fabric;
}

const Registered<TopologyPart> registered{
    "ring_node", "one node whose GPUs are joined in a ring", {build_ring_node}};

}  // namespace
