// FabricFile: a fabric written down as JSON, device by device and cable by cable: what topology
// "custom" builds and `moesim topology import` writes.
//
//   {"source": "where it was read",
//    "devices": [{"name": "gpu 0", "kind": "gpu", "node": 0}, {"name": "sw", "kind": "nvswitch"}],
//    "links": [{"between": ["gpu 0", "sw"], "tier": "nvlink", "bandwidth": "450 GB/s",
//               "latency": "1.6 us", "name": "cable 1"}]}
//
// GPUs are ranks in the order they stand in, "node" by "node" (default 0), the same number each.
// A link is a full-duplex cable: that bandwidth each way. "name" defaults to both devices' names.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

struct FabricFile {
  struct Cable {
    std::size_t a = 0, b = 0;  // indices of devices
    LinkTier tier{};
    BytesPerSecond bandwidth;
    Seconds latency{};
    std::string name = {};  // may be empty
  };
  std::string source;
  std::vector<Device> devices;
  std::vector<int> node_of;  // by device; only GPUs' are read
  std::vector<Cable> cables;
  int nodes = 0, gpus_per_node = 0;

  std::size_t add_device(DeviceKind kind, const std::string& name, int node = 0);
};

// Counts the GPUs into `nodes` and `gpus_per_node`. InputError (naming `file`) without a GPU, for
// nodes that are out of order or unlike in size, for a name that is not UTF-8 or that two devices
// or two links share, and for a link without a bandwidth or with a latency above 1000 s.
void check_fabric_file(FabricFile& graph, const std::string& file);

FabricFile read_fabric_file(const std::string& path);  // checked; InputError at the value
std::string to_json(const FabricFile& graph);          // read_fabric_file reads the same back
FabricFile fabric_file_of(const Fabric& fabric);       // any fabric, for other programs to read

}  // namespace moesim
