// NVLinks of every node: one switch device, or a cable between every two GPUs.
#include "topologies/node_cables.h"

#include <string>

namespace moesim {
namespace {

// A mesh of more GPUs than this has more cables than anyone builds.
constexpr int kMostMeshed = 64;

// Pairs (0, 1), (0, 2), ... (1, 2), ... of n GPUs, numbered in that order; a < b.
std::size_t pair_number(std::size_t a, std::size_t b, std::size_t n) {
  return a * n - a * (a + 1) / 2 + (b - a - 1);
}

}  // namespace

NodeCables::NodeCables(Fabric& fabric, const TopologyOptions& options)
    : gpus_(static_cast<std::size_t>(options.gpus_per_node)),
      mesh_(options.scale_up == ScaleUp::mesh) {
  if (mesh_ && options.gpus_per_node > kMostMeshed)
    refuse_option("gpus_per_node",
                  std::to_string(options.gpus_per_node) +
                      " GPUs are too many for a cable between every two; at most " +
                      std::to_string(kMostMeshed));
  fabric.ranks = options.nodes * options.gpus_per_node;
  fabric.ranks_per_node = options.gpus_per_node;
  for (int rank = 0; rank < fabric.ranks; ++rank)
    fabric.add_device(DeviceKind::gpu, "gpu " + std::to_string(rank));
  if (mesh_)
    connect_mesh(fabric, options);
  else
    connect_switch(fabric, options);
}

void NodeCables::connect_switch(Fabric& fabric, const TopologyOptions& options) {
  cables_.reserve(static_cast<std::size_t>(fabric.ranks));
  for (int node = 0; node < options.nodes; ++node) {
    const Vertex nvswitch =
        fabric.add_device(DeviceKind::nvswitch, "nvswitch " + std::to_string(node));
    for (int local = 0; local < options.gpus_per_node; ++local) {
      const int rank = node * options.gpus_per_node + local;
      cables_.push_back(fabric.connect(static_cast<Vertex>(rank), nvswitch,
                                       "nvlink " + std::to_string(rank), LinkTier::nvlink,
                                       options.nvlink_of(node), options.nvlink_latency / 2));
    }
  }
}

void NodeCables::connect_mesh(Fabric& fabric, const TopologyOptions& options) {
  for (int node = 0; node < options.nodes; ++node) {
    if (gpus_ < 2) return;
    const BytesPerSecond each = options.nvlink_of(node) / static_cast<double>(gpus_ - 1);
    const std::size_t first = static_cast<std::size_t>(node) * gpus_;
    for (std::size_t a = first; a < first + gpus_; ++a) {
      for (std::size_t b = a + 1; b < first + gpus_; ++b)
        cables_.push_back(fabric.connect(a, b,
                                         "nvlink " + std::to_string(a) + "-" + std::to_string(b),
                                         LinkTier::nvlink, each, options.nvlink_latency));
    }
  }
}

void NodeCables::route(Rank source, Rank destination, std::vector<LinkId>& path) const {
  if (source == destination) return;
  if (!mesh_) {
    path.push_back(cables_[index(source)].out);
    path.push_back(cables_[index(destination)].in);
    return;
  }
  const std::size_t from = index(source) % gpus_, to = index(destination) % gpus_;
  const std::size_t before = index(source) / gpus_ * (gpus_ * (gpus_ - 1) / 2);
  path.push_back(from < to ? cables_[before + pair_number(from, to, gpus_)].out
                           : cables_[before + pair_number(to, from, gpus_)].in);
}

}  // namespace moesim
