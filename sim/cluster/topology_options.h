// TopologyOptions: what a scenario says about the fabric. A topology refuses what it cannot build
// (InputError naming the option), also options that mean nothing to it.
#pragma once

#include <string>
#include <vector>

#include "sim/core/units.h"

namespace moesim {

enum class ScaleUp {
  nvswitch,  // every GPU of a node has one cable, its NVLinks together, to a switch
  mesh       // a cable between every two GPUs of a node, the NVLink bandwidth split over them
};

struct NodeBandwidth {  // of one node of a heterogeneous cluster, one direction, one GPU
  BytesPerSecond nvlink, nic;
};

struct TopologyOptions {
  int nodes = 1;
  int gpus_per_node = 8;        // GPUs of one NVLink domain
  BytesPerSecond nvlink;        // one direction, one GPU, all its NVLinks together
  BytesPerSecond nic;           // one direction, one GPU, all its planes together
  Seconds nvlink_latency{};     // GPU to GPU
  Seconds nic_latency{};        // GPU to GPU through one switch
  Seconds spine_latency{};      // added by two more links between switches
  double oversubscription = 1;  // leaf downlink over uplink bandwidth, >= 1
  bool ecmp = false;            // hash flows onto equal paths instead of spreading by rank
  int nodes_per_leaf = 32;      // more nodes than this give every rail a further leaf
  ScaleUp scale_up = ScaleUp::nvswitch;

  int planes = 1;              // rails: independent networks that share a GPU's NIC bandwidth
  int gpus_per_tray = 4;       // nvl72: GPUs of a compute tray, one rail for each
  int switch_ports = 0;        // fat_tree: its k, even; 0 = the least that holds all GPUs
  int gpus_per_switch = 0;     // dragonfly: its p; 0 = the least balanced one that holds all GPUs
  int switches_per_group = 0;  // dragonfly: its a; 0 = 2 p
  std::vector<int> torus;  // torus_3d: nodes along x, y and z; empty = as near a cube as divides
  BytesPerSecond switch_link;  // dragonfly, torus_3d: a link between switches; 0 = as nic
  std::string graph;           // custom: the JSON file of devices and links

  std::vector<NodeBandwidth> by_node;  // empty = every node as above

  BytesPerSecond nvlink_of(int node) const {
    return by_node.empty() ? nvlink : by_node[static_cast<std::size_t>(node)].nvlink;
  }
  BytesPerSecond nic_of(int node) const {
    return by_node.empty() ? nic : by_node[static_cast<std::size_t>(node)].nic;
  }
};

// Throws InputError naming the option unless counts are at least 1 (65,536 ranks at most),
// bandwidths above 0, latencies not negative and oversubscription at least 1; and when one of the
// options below scale_up, or oversubscription, is not at its default though `topology` gives it no
// meaning: `meant` lists those that it does.
void check_options(const TopologyOptions& options,
                   const std::string& topology,
                   const std::vector<std::string>& meant);

[[noreturn]] void refuse_option(const std::string& option, const std::string& message);

}  // namespace moesim
