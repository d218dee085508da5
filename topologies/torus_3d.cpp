// torus_3d: a switch in every node, joined to its neighbours along x, y and z in rings; a GPU's NIC
// ends at its node's switch. Routes go dimension by dimension the shorter way round (Dally and
// Towles, Principles and Practices of Interconnection Networks, 2004).
#include <array>
#include <memory>
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

using Place = std::array<int, 3>;

struct Torus {
  Place size{};
  int gpus_per_node = 1;
  bool ecmp = false;
  std::vector<Fabric::Cable> nics;                  // by rank, seen from the GPU
  std::vector<std::array<Fabric::Cable, 3>> rings;  // by node: the cable to the next along x, y, z

  Place place_of(int node) const {
    return {node % size[0], node / size[0] % size[1], node / size[0] / size[1]};
  }
  std::size_t node_at(const Place& place) const {
    return static_cast<std::size_t>((place[2] * size[1] + place[1]) * size[0] + place[0]);
  }
  void walk(Place& at, int target, std::size_t axis, bool forward, std::vector<LinkId>&) const;
  void route(Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>&) const;
};

void Torus::walk(
    Place& at, int target, std::size_t axis, bool forward, std::vector<LinkId>& path) const {
  const int length = size[axis];
  while (at[axis] != target) {
    if (forward) {
      path.push_back(rings[node_at(at)][axis].out);
      at[axis] = (at[axis] + 1) % length;
    } else {
      at[axis] = (at[axis] + length - 1) % length;
      path.push_back(rings[node_at(at)][axis].in);
    }
  }
}

// Where both ways round are equally short, half of the flows take each.
void Torus::route(Rank source,
                  Rank destination,
                  std::uint32_t queue_pair,
                  std::vector<LinkId>& path) const {
  const int from = static_cast<int>(source), to = static_cast<int>(destination);
  std::uint64_t choice = ecmp ? flow_hash(source, destination, queue_pair)
                              : static_cast<std::uint64_t>(from + from / gpus_per_node + to);
  Place at = place_of(from / gpus_per_node);
  const Place target = place_of(to / gpus_per_node);
  path.push_back(nics[index(source)].out);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const int length = size[axis];
    const int forward = (target[axis] - at[axis] + length) % length, backward = length - forward;
    // A ring of two has one cable, which begins at 0.
    const bool tied = length == 2 ? at[axis] == 0 : choice % 2 == 0;
    walk(at, target[axis], axis, forward < backward || (forward == backward && tied), path);
    if (ecmp) choice /= 2;
  }
  path.push_back(nics[index(destination)].in);
}

// The box of that many nodes whose longest side is least, sides falling from z to x.
Place nearest_cube(int nodes) {
  Place best{1, 1, nodes};
  for (int x = 1; x * x * x <= nodes; ++x) {
    if (nodes % x != 0) continue;
    for (int y = x; x * y * y <= nodes; ++y) {
      if (nodes / x % y == 0 && nodes / x / y < best[2]) best = {x, y, nodes / x / y};
    }
  }
  return best;
}

Place size_of(const TopologyOptions& options) {
  if (options.torus.empty()) return nearest_cube(options.nodes);
  std::int64_t product = 1;
  for (const int side : options.torus) {
    if (side < 1) refuse_option("torus", std::to_string(side) + " is not allowed; at least 1");
    product *= side;
  }
  if (options.torus.size() != 3 || product != options.nodes)
    refuse_option("torus", "wants 3 sides whose product is " + std::to_string(options.nodes) +
                               " (nodes), as in [2, 2, 4]");
  return {options.torus[0], options.torus[1], options.torus[2]};
}

void connect_switches(Fabric& fabric, Torus& torus, const TopologyOptions& options) {
  std::vector<Vertex> switches;
  for (int node = 0; node < options.nodes; ++node) {
    const Place at = torus.place_of(node);
    switches.push_back(fabric.add_device(
        DeviceKind::fabric_switch, "switch " + std::to_string(at[0]) + "," + std::to_string(at[1]) +
                                       "," + std::to_string(at[2])));
  }
  for (int rank = 0; rank < fabric.ranks; ++rank) {
    const int node = rank / options.gpus_per_node;
    torus.nics.push_back(fabric.connect(static_cast<Vertex>(rank),
                                        switches[static_cast<std::size_t>(node)],
                                        "nic " + std::to_string(rank), LinkTier::nic,
                                        options.nic_of(node), options.nic_latency / 2));
  }
  const BytesPerSecond each =
      options.switch_link == BytesPerSecond{} ? options.nic : options.switch_link;
  torus.rings.resize(switches.size());
  for (std::size_t node = 0; node < switches.size(); ++node) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const int length = torus.size[axis];
      Place next = torus.place_of(static_cast<int>(node));
      if (length == 1 || (length == 2 && next[axis] == 1)) continue;
      next[axis] = (next[axis] + 1) % length;
      torus.rings[node][axis] = fabric.connect(switches[node], switches[torus.node_at(next)],
                                               "torus " + std::to_string(node) + " +" + "xyz"[axis],
                                               LinkTier::torus, each, options.spine_latency / 2);
    }
  }
}

const std::vector<std::string> kOptions{"scale_up", "torus", "switch_link"};

Fabric build_torus_3d(const TopologyOptions& options) {
  check_options(options, "torus_3d", kOptions);
  auto torus = std::make_shared<Torus>();
  torus->size = size_of(options);
  torus->gpus_per_node = options.gpus_per_node;
  torus->ecmp = options.ecmp;
  Fabric fabric;
  fabric.topology = "torus_3d";
  const NodeCables cables(fabric, options);
  if (options.nodes > 1) {
    fabric.switch_grid.assign(torus->size.begin(), torus->size.end());
    connect_switches(fabric, *torus, options);
  }
  fabric.route = route_over(cables, torus);
  return fabric;
}

const Registered<TopologyPart> registered{
    "torus_3d",
    "a switch in every node, joined in rings along x, y and z",
    {build_torus_3d, kOptions}};

}  // namespace
}  // namespace moesim
