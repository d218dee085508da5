// dragonfly: switches in groups (Kim, Dally, Scott and Abts, ISCA 2008): p GPUs a switch, a
// switches a group joined pairwise, h global cables a switch, spread evenly over the pairs of
// groups. Routes are minimal: at most one global cable. Balanced means a = 2p = 2h.
#include <memory>
#include <string>

#include "topologies/node_cables.h"

namespace moesim {
namespace {

struct Dragonfly {
  int gpus_per_switch = 1, switches_per_group = 1, global_per_switch = 1, groups = 1;
  int cables_per_pair = 0;  // global cables between two groups
  bool ecmp = false;
  std::vector<Fabric::Cable> nics;     // by rank, seen from the GPU
  std::vector<Fabric::Cable> locals;   // by (group * a + switch) * a + other switch > switch
  std::vector<Fabric::Cable> globals;  // by (group * groups + other group > group) * cables + cable

  // The switch of `group`, counted within it, where a global cable to `other` ends: a group's
  // cables go to the groups after it in turn.
  int gateway(int group, int other, int cable) const {
    return ((other - group - 1 + groups) % groups * cables_per_pair + cable) / global_per_switch;
  }
  LinkId local(int group, int from, int to) const {
    const int low = std::min(from, to), high = std::max(from, to);
    const auto at =
        static_cast<std::size_t>((group * switches_per_group + low) * switches_per_group + high);
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
  const int up = static_cast<int>(source) / gpus_per_switch;
  const int down = static_cast<int>(destination) / gpus_per_switch;
  const int from = up / switches_per_group, to = down / switches_per_group;
  path.push_back(nics[index(source)].out);
  int at = up % switches_per_group;  // within its group
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
  if (at != down % switches_per_group) path.push_back(local(to, at, down % switches_per_group));
  path.push_back(nics[index(destination)].in);
}

std::int64_t gpus_of(std::int64_t per_switch, std::int64_t switches, std::int64_t global) {
  return per_switch * switches * (switches * global + 1);
}

Dragonfly sized(const TopologyOptions& options) {
  const std::int64_t ranks = std::int64_t{options.nodes} * options.gpus_per_node;
  for (const auto& [option, value] :
       {std::pair{"gpus_per_switch", options.gpus_per_switch},
        std::pair{"switches_per_group", options.switches_per_group}}) {
    if (value < 0 || value > 1024)
      refuse_option(option, std::to_string(value) + " is not allowed; 1 to 1024");
  }
  int p = std::max(1, options.gpus_per_switch);
  const auto switches = [&] {
    return options.switches_per_group == 0 ? 2 * p : options.switches_per_group;
  };
  while (options.gpus_per_switch == 0 && gpus_of(p, switches(), p) < ranks) ++p;
  if (gpus_of(p, switches(), p) < ranks)
    refuse_option("gpus_per_switch", std::to_string(p) + " GPUs a switch and " +
                                         std::to_string(switches()) + " switches a group join " +
                                         std::to_string(gpus_of(p, switches(), p)) + " GPUs, not " +
                                         std::to_string(ranks));
  Dragonfly network;
  network.gpus_per_switch = network.global_per_switch = p;
  network.switches_per_group = switches();
  const std::int64_t per_group = std::int64_t{p} * switches();
  network.groups = static_cast<int>((ranks + per_group - 1) / per_group);
  if (network.groups > 1)
    network.cables_per_pair =
        network.switches_per_group * network.global_per_switch / (network.groups - 1);
  network.ecmp = options.ecmp;
  return network;
}

std::vector<Vertex> connect_groups(Fabric& fabric, Dragonfly& net, const TopologyOptions& options) {
  const int a = net.switches_per_group;
  const BytesPerSecond each =
      options.switch_link == BytesPerSecond{} ? options.nic : options.switch_link;
  std::vector<Vertex> switches;
  for (int number = 0; number < net.groups * a; ++number)
    switches.push_back(
        fabric.add_device(DeviceKind::fabric_switch, "switch " + std::to_string(number)));
  for (int rank = 0; rank < fabric.ranks; ++rank)
    net.nics.push_back(fabric.connect(
        static_cast<Vertex>(rank), switches[static_cast<std::size_t>(rank / net.gpus_per_switch)],
        "nic " + std::to_string(rank), LinkTier::nic, options.nic_of(rank / options.gpus_per_node),
        options.nic_latency / 2));
  net.locals.resize(switches.size() * static_cast<std::size_t>(a));
  for (int number = 0; number < net.groups * a; ++number) {
    for (int other = number + 1; other < (number / a + 1) * a; ++other)
      net.locals[static_cast<std::size_t>(number * a + other % a)] = fabric.connect(
          switches[static_cast<std::size_t>(number)], switches[static_cast<std::size_t>(other)],
          "local " + std::to_string(number) + "-" + std::to_string(other),
          LinkTier::dragonfly_local, each, options.spine_latency / 2);
  }
  return switches;
}

void connect_globals(Fabric& fabric,
                     Dragonfly& net,
                     const TopologyOptions& options,
                     const std::vector<Vertex>& switches) {
  const BytesPerSecond each =
      options.switch_link == BytesPerSecond{} ? options.nic : options.switch_link;
  const auto end_of = [&](int group, int other, int cable) {
    return static_cast<std::size_t>(group * net.switches_per_group +
                                    net.gateway(group, other, cable));
  };
  net.globals.resize(static_cast<std::size_t>(net.groups * net.groups * net.cables_per_pair));
  for (int group = 0; group < net.groups; ++group) {
    for (int other = group + 1; other < net.groups; ++other) {
      for (int cable = 0; cable < net.cables_per_pair; ++cable) {
        const std::size_t a = end_of(group, other, cable), b = end_of(other, group, cable);
        const auto at =
            static_cast<std::size_t>((group * net.groups + other) * net.cables_per_pair + cable);
        net.globals[at] =
            fabric.connect(switches[a], switches[b],
                           "global " + std::to_string(group) + "-" + std::to_string(other) + " " +
                               std::to_string(cable),
                           LinkTier::dragonfly_global, each, options.spine_latency / 2);
      }
    }
  }
}

const std::vector<std::string> kOptions{"scale_up", "gpus_per_switch", "switches_per_group",
                                        "switch_link"};

Fabric build_dragonfly(const TopologyOptions& options) {
  check_options(options, "dragonfly", kOptions);
  auto network = std::make_shared<Dragonfly>(sized(options));
  Fabric fabric;
  fabric.topology = "dragonfly";
  const NodeCables cables(fabric, options);
  if (options.nodes > 1) {
    fabric.switch_grid = {network->groups, network->switches_per_group};
    connect_globals(fabric, *network, options, connect_groups(fabric, *network, options));
  }
  fabric.route = route_over(cables, network);
  return fabric;
}

const Registered<TopologyPart> registered{
    "dragonfly",
    "switches in groups: all joined within, every two groups joined",
    {build_dragonfly, kOptions}};

}  // namespace
}  // namespace moesim
