// fat_tree: three tiers of switches with k ports (Al-Fares, Loukissas and Vahdat, SIGCOMM 2008): a
// leaf joins k/2 GPUs, k/2 leaves and k/2 spines make a pod, (k/2)^2 cores join the pods. Ranks
// fill leaves in order; leaves and pods beyond the last rank are left out.
#include <memory>
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

struct Tree {
  int half;  // k/2: GPUs of a leaf, leaves of a pod, spines of a pod, cores of a spine
  int leaves, pods;
  bool ecmp;
  std::vector<Fabric::Cable> nics;   // by rank, seen from the GPU
  std::vector<Fabric::Cable> lower;  // by leaf * half + spine of its pod, seen from the leaf
  std::vector<Fabric::Cable> upper;  // by (pod * half + spine) * half + core, seen from the spine

  const Fabric::Cable& leaf_to_spine(int leaf, int spine) const {
    return lower[static_cast<std::size_t>(leaf * half + spine)];
  }
  const Fabric::Cable& spine_to_core(int pod, int spine, int core) const {
    return upper[static_cast<std::size_t>((pod * half + spine) * half + core)];
  }
  void route(Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>&) const;
};

// Ideal spreading is D-mod-k (Zahavi, Fat-Tree Routing and Node Ordering, 2010): the way up is read
// off the destination, so that each link down carries what one GPU takes in.
void Tree::route(Rank source,
                 Rank destination,
                 std::uint32_t queue_pair,
                 std::vector<LinkId>& path) const {
  const int from = static_cast<int>(source), to = static_cast<int>(destination);
  const int up = from / half, down = to / half;
  path.push_back(nics[index(source)].out);
  if (up != down) {
    const std::uint64_t choice =
        ecmp ? flow_hash(source, destination, queue_pair) : static_cast<std::uint64_t>(to);
    const auto ways = static_cast<std::uint64_t>(half);
    const int spine = static_cast<int>(choice % ways),
              core = static_cast<int>(choice / ways % ways);
    path.push_back(leaf_to_spine(up, spine).out);
    if (up / half != down / half) {
      path.push_back(spine_to_core(up / half, spine, core).out);
      path.push_back(spine_to_core(down / half, spine, core).in);
    }
    path.push_back(leaf_to_spine(down, spine).in);
  }
  path.push_back(nics[index(destination)].in);
}

std::int64_t gpus_of(std::int64_t ports) { return ports * ports * ports / 4; }

int ports_for(const TopologyOptions& options) {
  const std::int64_t ranks = std::int64_t{options.nodes} * options.gpus_per_node;
  if (options.switch_ports == 0) {
    int ports = 4;
    while (gpus_of(ports) < ranks) ports += 2;
    return ports;
  }
  if (options.switch_ports < 2 || options.switch_ports % 2 != 0)
    refuse_option("switch_ports", std::to_string(options.switch_ports) +
                                      " is not allowed; an even number, at least 2");
  if (options.switch_ports > 1024 || gpus_of(options.switch_ports) >= ranks)
    return options.switch_ports;
  refuse_option("switch_ports", "three tiers of " + std::to_string(options.switch_ports) +
                                    "-port switches join " +
                                    std::to_string(gpus_of(options.switch_ports)) + " GPUs, not " +
                                    std::to_string(ranks));
}

std::vector<Vertex> add_switches(Fabric& fabric, DeviceKind kind, int count) {
  std::vector<Vertex> switches;
  for (int i = 0; i < count; ++i)
    switches.push_back(fabric.add_device(kind, to_text(kind) + " " + std::to_string(i)));
  return switches;
}

std::string between(const char* below, std::size_t a, const char* above, std::size_t b) {
  return std::string(below) + " " + std::to_string(a) + " > " + above + " " + std::to_string(b);
}

void connect_switches(Fabric& fabric, Tree& tree, const TopologyOptions& options) {
  const auto half = static_cast<std::size_t>(tree.half);
  const auto leaves = add_switches(fabric, DeviceKind::leaf, tree.leaves);
  for (int rank = 0; rank < fabric.ranks; ++rank)
    tree.nics.push_back(fabric.connect(
        static_cast<Vertex>(rank), leaves[static_cast<std::size_t>(rank / tree.half)],
        "nic " + std::to_string(rank), LinkTier::nic, options.nic_of(rank / options.gpus_per_node),
        options.nic_latency / 2));
  if (tree.leaves == 1) return;
  // Leaves that are not full have all their uplinks: a switch is bought whole.
  const BytesPerSecond each = options.nic / options.oversubscription;
  const auto spines = add_switches(fabric, DeviceKind::spine, tree.pods * tree.half);
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    for (std::size_t spine = leaf / half * half; spine < (leaf / half + 1) * half; ++spine)
      tree.lower.push_back(fabric.connect(leaves[leaf], spines[spine],
                                          between("leaf", leaf, "spine", spine),
                                          LinkTier::leaf_spine, each, options.spine_latency / 2));
  }
  if (tree.pods == 1) return;
  const auto cores = add_switches(fabric, DeviceKind::core, tree.half * tree.half);
  for (std::size_t spine = 0; spine < spines.size(); ++spine) {
    for (std::size_t core = spine % half * half; core < (spine % half + 1) * half; ++core)
      tree.upper.push_back(fabric.connect(spines[spine], cores[core],
                                          between("spine", spine, "core", core),
                                          LinkTier::spine_core, each, options.spine_latency / 2));
  }
}

const std::vector<std::string> kOptions{"oversubscription", "scale_up", "switch_ports"};

Fabric build_fat_tree(const TopologyOptions& options) {
  check_options(options, "fat_tree", kOptions);
  const int half = ports_for(options) / 2;
  Fabric fabric;
  fabric.topology = "fat_tree";
  const NodeCables cables(fabric, options);
  auto tree = std::make_shared<Tree>();
  tree->half = half;
  tree->leaves = (fabric.ranks + half - 1) / half;
  tree->pods = (tree->leaves + half - 1) / half;
  tree->ecmp = options.ecmp;
  if (options.nodes > 1) connect_switches(fabric, *tree, options);
  fabric.route = route_over(cables, tree);
  return fabric;
}

const Registered<TopologyPart> registered{
    "fat_tree", "nodes joined by three tiers of k-port switches", {build_fat_tree, kOptions}};

}  // namespace
}  // namespace moesim
