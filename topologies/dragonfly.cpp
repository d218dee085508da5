// dragonfly: routers in groups (Kim, Dally, Scott and Abts, ISCA 2008): p GPUs a router, a routers
// a group joined pairwise, h global cables a router, spread evenly over the pairs of groups. Routes
// are minimal: at most one global cable. Balanced means a = 2p = 2h.
#include <memory>
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

struct Dragonfly {
  int gpus_per_router = 1, routers_per_group = 1, global_per_router = 1, groups = 1;
  int cables_per_pair = 0;  // global cables between two groups
  bool ecmp = false;
  std::vector<Fabric::Cable> nics;     // by rank, seen from the GPU
  std::vector<Fabric::Cable> locals;   // by (group * a + router) * a + other router > router
  std::vector<Fabric::Cable> globals;  // by (group * groups + other group > group) * cables + cable

  // The router of `group`, counted within it, where a global cable to `other` ends: a group's
  // cables go to the groups after it in turn.
  int gateway(int group, int other, int cable) const {
    return ((other - group - 1 + groups) % groups * cables_per_pair + cable) / global_per_router;
  }
  LinkId local(int group, int from, int to) const {
    const int low = std::min(from, to), high = std::max(from, to);
    const auto at =
        static_cast<std::size_t>((group * routers_per_group + low) * routers_per_group + high);
    return from < to ? locals[at].out : locals[at].in;
  }
  LinkId global(int from, int to, int cable) const {
    const int low = std::min(from, to), high = std::max(from, to);
    const auto at = static_cast<std::size_t>((low * groups + high) * cables_per_pair + cable);
    return from < to ? globals[at].out : globals[at].in;
  }
  void route(Rank source, Rank destination, std::uint32_t queue_pair, std::vector<LinkId>&) const;
};

void Dragonfly::route(Rank source,
                      Rank destination,
                      std::uint32_t queue_pair,
                      std::vector<LinkId>& path) const {
  const int up = static_cast<int>(source) / gpus_per_router;
  const int down = static_cast<int>(destination) / gpus_per_router;
  const int from = up / routers_per_group, to = down / routers_per_group;
  path.push_back(nics[index(source)].out);
  int at = up % routers_per_group;  // within its group
  if (from != to) {
    const std::uint64_t choice =
        ecmp ? flow_hash(source, destination, queue_pair)
             : static_cast<std::uint64_t>(index(source) + index(destination));
    const int cable = static_cast<int>(choice % static_cast<std::uint64_t>(cables_per_pair));
    const int exit = gateway(from, to, cable);
    if (at != exit) path.push_back(local(from, at, exit));
    path.push_back(global(from, to, cable));
    at = gateway(to, from, cable);
  }
  if (at != down % routers_per_group) path.push_back(local(to, at, down % routers_per_group));
  path.push_back(nics[index(destination)].in);
}

std::int64_t gpus_of(std::int64_t per_router, std::int64_t routers, std::int64_t global) {
  return per_router * routers * (routers * global + 1);
}

Dragonfly sized(const TopologyOptions& options) {
  const std::int64_t ranks = std::int64_t{options.nodes} * options.gpus_per_node;
  for (const auto& [option, value] : {std::pair{"gpus_per_router", options.gpus_per_router},
                                      std::pair{"routers_per_group", options.routers_per_group}}) {
    if (value < 0 || value > 1024)
      refuse_option(option, std::to_string(value) + " is not allowed; 1 to 1024");
  }
  int p = std::max(1, options.gpus_per_router);
  const auto routers = [&] {
    return options.routers_per_group == 0 ? 2 * p : options.routers_per_group;
  };
  while (options.gpus_per_router == 0 && gpus_of(p, routers(), p) < ranks) ++p;
  if (gpus_of(p, routers(), p) < ranks)
    refuse_option("gpus_per_router", std::to_string(p) + " GPUs a router and " +
                                         std::to_string(routers()) + " routers a group join " +
                                         std::to_string(gpus_of(p, routers(), p)) + " GPUs, not " +
                                         std::to_string(ranks));
  Dragonfly network;
  network.gpus_per_router = network.global_per_router = p;
  network.routers_per_group = routers();
  const std::int64_t per_group = std::int64_t{p} * routers();
  network.groups = static_cast<int>((ranks + per_group - 1) / per_group);
  if (network.groups > 1)
    network.cables_per_pair =
        network.routers_per_group * network.global_per_router / (network.groups - 1);
  network.ecmp = options.ecmp;
  return network;
}

std::vector<Vertex> connect_groups(Fabric& fabric, Dragonfly& net, const TopologyOptions& options) {
  const int a = net.routers_per_group;
  const BytesPerSecond each =
      options.router_link == BytesPerSecond{} ? options.nic : options.router_link;
  std::vector<Vertex> routers;
  for (int router = 0; router < net.groups * a; ++router)
    routers.push_back(fabric.add_device(DeviceKind::router, "router " + std::to_string(router)));
  for (int rank = 0; rank < fabric.ranks; ++rank)
    net.nics.push_back(fabric.connect(
        static_cast<Vertex>(rank), routers[static_cast<std::size_t>(rank / net.gpus_per_router)],
        "nic " + std::to_string(rank), LinkTier::nic, options.nic_of(rank / options.gpus_per_node),
        options.nic_latency / 2));
  net.locals.resize(routers.size() * static_cast<std::size_t>(a));
  for (int router = 0; router < net.groups * a; ++router) {
    for (int other = router + 1; other < (router / a + 1) * a; ++other)
      net.locals[static_cast<std::size_t>(router * a + other % a)] = fabric.connect(
          routers[static_cast<std::size_t>(router)], routers[static_cast<std::size_t>(other)],
          "local " + std::to_string(router) + "-" + std::to_string(other), LinkTier::router_local,
          each, options.spine_latency / 2);
  }
  return routers;
}

void connect_globals(Fabric& fabric,
                     Dragonfly& net,
                     const TopologyOptions& options,
                     const std::vector<Vertex>& routers) {
  const BytesPerSecond each =
      options.router_link == BytesPerSecond{} ? options.nic : options.router_link;
  const auto router = [&](int group, int other, int cable) {
    return static_cast<std::size_t>(group * net.routers_per_group +
                                    net.gateway(group, other, cable));
  };
  net.globals.resize(static_cast<std::size_t>(net.groups * net.groups * net.cables_per_pair));
  for (int group = 0; group < net.groups; ++group) {
    for (int other = group + 1; other < net.groups; ++other) {
      for (int cable = 0; cable < net.cables_per_pair; ++cable) {
        const std::size_t a = router(group, other, cable), b = router(other, group, cable);
        const auto at =
            static_cast<std::size_t>((group * net.groups + other) * net.cables_per_pair + cable);
        net.globals[at] = fabric.connect(routers[a], routers[b],
                                         "global " + std::to_string(group) + "-" +
                                             std::to_string(other) + " " + std::to_string(cable),
                                         LinkTier::router_global, each, options.spine_latency / 2);
      }
    }
  }
}

Fabric build_dragonfly(const TopologyOptions& options) {
  check_options(options, "dragonfly",
                {"scale_up", "gpus_per_router", "routers_per_group", "router_link"});
  auto network = std::make_shared<Dragonfly>(sized(options));
  Fabric fabric;
  fabric.topology = "dragonfly";
  const NodeCables cables(fabric, options);
  if (options.nodes > 1) {
    fabric.router_grid = {network->groups, network->routers_per_group};
    connect_globals(fabric, *network, options, connect_groups(fabric, *network, options));
  }
  fabric.route = [cables, network](Rank source, Rank destination, std::uint32_t queue_pair,
                                   std::vector<LinkId>& path) {
    if (cables.same_node(source, destination))
      cables.route(source, destination, path);
    else
      network->route(source, destination, queue_pair, path);
  };
  return fabric;
}

const Registered<TopologyPart> registered{
    "dragonfly", "routers in groups: all joined within, every two groups joined", build_dragonfly};

}  // namespace
}  // namespace moesim
