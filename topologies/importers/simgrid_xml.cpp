// simgrid_xml: a SimGrid platform (version 4): hosts become GPUs in nodes of their own. SimGrid
// says which links a route crosses, not where links end; that is worked out from the routes, with a
// switch wherever two links meet. https://simgrid.org/doc/latest/XML_reference.html
#include <algorithm>
#include <map>
#include <numeric>

#include "sim/cluster/graph_importer.h"
#include "topologies/importers/simgrid_units.h"

namespace moesim {
namespace {

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

struct PlatformLink {
  std::string id;
  BytesPerSecond bandwidth;
  Seconds latency{};
  std::size_t a = kNowhere, b = kNowhere;  // devices, once a route has said
  Location where = {};
};

struct Platform {
  ImportedGraph result = {};
  std::map<std::string, std::size_t> devices = {}, link_numbers = {};
  std::vector<PlatformLink> links = {};
  std::vector<std::size_t> same_as = {};  // by device: union-find, for switches found to be one
  int hosts = 0, junctions = 0, shared = 0;

  std::size_t find(std::size_t device) const {
    while (same_as[device] != device) device = same_as[device];
    return device;
  }
  std::size_t add(DeviceKind kind, const std::string& name, int node);
  std::size_t add_junction();
  bool is_junction(std::size_t device) const {
    return result.graph.devices[device].name.starts_with("junction ");
  }
  std::size_t device(const XmlElement& element, const std::string& attribute) const;
  void read_zone(const XmlElement& zone);
  void read_link(const XmlElement& link);
  void read_cluster(const XmlElement& cluster);
  void read_route(const XmlElement& route, const char* from, const char* to);
  std::size_t step(const XmlElement& route, PlatformLink& link, std::size_t at, std::size_t goal);
  void finish();
};

std::size_t Platform::add(DeviceKind kind, const std::string& name, int node) {
  const std::size_t device = result.graph.add_device(kind, name, node);
  same_as.push_back(device);
  devices[name] = device;
  return device;
}

std::size_t Platform::add_junction() {
  return add(DeviceKind::fabric_switch, "junction " + std::to_string(junctions++), 0);
}

std::size_t Platform::device(const XmlElement& element, const std::string& attribute) const {
  const std::string name = element.at(attribute);
  const auto found = devices.find(name);
  if (found != devices.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : devices) names.push_back(entry.first);
  const auto nearest = nearest_name(name, names);
  element.fail(attribute + "=\"" + name + "\" is no host and no router above this line" +
               (nearest ? "; did you mean \"" + *nearest + "\"?" : ""));
}

void Platform::read_link(const XmlElement& element) {
  PlatformLink link;
  link.id = element.at("id");
  link.where = element.where;
  link.bandwidth = simgrid_bandwidth(element, "bandwidth");
  if (element.find("latency")) link.latency = simgrid_latency(element, "latency");
  const auto policy = element.find("sharing_policy");
  if (!policy || *policy == "SHARED") ++shared;
  if (!link_numbers.emplace(link.id, links.size()).second)
    element.fail("another link is named \"" + link.id + "\" too");
  links.push_back(link);
}

// Hosts around one switch. SimGrid sends traffic between two of them over the backbone too, which a
// graph cannot: the backbone is left out, as if it never limited.
void Platform::read_cluster(const XmlElement& cluster) {
  if (const auto topology = cluster.find("topology"); topology && *topology != "FLAT")
    cluster.fail("topology=\"" + *topology +
                 "\" is not read; write \"fat_tree\", \"dragonfly\" or \"torus_3d\" as the "
                 "cluster's topology instead");
  const std::string id = cluster.at("id"), prefix = cluster.find("prefix").value_or("");
  const std::string suffix = cluster.find("suffix").value_or("");
  const std::size_t router =
      add(DeviceKind::fabric_switch,
          cluster.find("router_id").value_or(prefix + id + "_router" + suffix), 0);
  const BytesPerSecond bandwidth = simgrid_bandwidth(cluster, "bw");
  const Seconds latency = simgrid_latency(cluster, "lat");
  for (const int number : simgrid_radical(cluster)) {
    std::string name = prefix;
    name += std::to_string(number);
    name += suffix;
    const std::size_t host = add(DeviceKind::gpu, name, hosts++);
    const std::string link = id + "_link_" + std::to_string(number);
    if (!link_numbers.emplace(link, links.size()).second)
      cluster.fail("another link is named \"" + link + "\" too");
    links.push_back({link, bandwidth, latency, host, router});
  }
  if (cluster.find("bb_bw"))
    result.notes.push_back("the backbone of cluster \"" + id + "\" is left out");
}

// The far end of `link`, entered from device `at`; goal is where the route ends when this is its
// last link. Ends that were open are settled.
std::size_t Platform::step(const XmlElement& route,
                           PlatformLink& link,
                           std::size_t at,
                           std::size_t goal) {
  if (link.a == kNowhere) {
    link.a = at;
    link.b = goal == kNowhere ? add_junction() : goal;
    return link.b;
  }
  std::size_t a = find(link.a), b = find(link.b);
  if (a != at && b != at) {
    // The route comes from a switch made for another link: the two are one.
    const bool enters_a = b == goal || (goal == kNowhere && is_junction(a) && !is_junction(b));
    const std::size_t entry = enters_a ? a : b;
    if (!is_junction(at) || !is_junction(entry))
      route.fail("link \"" + link.id + "\" does not begin where the route has come to");
    same_as[std::max(at, entry)] = std::min(at, entry);
    at = find(at);
    a = find(a);
    b = find(b);
  }
  return a == at ? b : a;
}

void Platform::read_route(const XmlElement& route, const char* from, const char* to) {
  std::size_t at = find(device(route, from));
  const std::size_t goal = find(device(route, to));
  std::vector<std::size_t> crossed;
  for (const XmlElement& child : route.children) {
    if (child.name != "link_ctn") continue;
    const auto found = link_numbers.find(child.at("id"));
    if (found == link_numbers.end())
      child.fail("id=\"" + child.at("id") + "\" is no link above this line");
    crossed.push_back(found->second);
  }
  for (std::size_t i = 0; i < crossed.size(); ++i)
    at = step(route, links[crossed[i]], at, i + 1 == crossed.size() ? goal : kNowhere);
  if (at == find(goal)) return;
  if (!is_junction(at) || !is_junction(goal)) route.fail("its last link does not end at its goal");
}

void Platform::read_zone(const XmlElement& zone) {
  static const std::vector<std::string> ignored{"prop",    "config",       "disk",
                                                "storage", "storage_type", "mount"};
  static const std::vector<std::string> known{"zone",    "AS",    "host",      "router", "link",
                                              "cluster", "route", "zoneRoute", "ASroute"};
  for (const XmlElement& child : zone.children) {
    if (child.name == "zone" || child.name == "AS")
      read_zone(child);
    else if (child.name == "host")
      add(DeviceKind::gpu, child.at("id"), hosts++);
    else if (child.name == "router")
      add(DeviceKind::fabric_switch, child.at("id"), 0);
    else if (child.name == "link")
      read_link(child);
    else if (child.name == "cluster")
      read_cluster(child);
    else if (child.name == "route")
      read_route(child, "src", "dst");
    else if (child.name == "zoneRoute" || child.name == "ASroute")
      read_route(child, "gw_src", "gw_dst");
    else if (std::find(ignored.begin(), ignored.end(), child.name) == ignored.end())
      child.fail("is not read here" + name_help(child.name, known));
  }
}

// Leaves out switches that turned out to be others, and links on no route.
void Platform::finish() {
  const FabricFile all = std::move(result.graph);
  result.graph = {};
  result.graph.source = all.source;
  std::vector<std::size_t> number(all.devices.size());
  for (std::size_t device = 0; device < all.devices.size(); ++device) {
    if (find(device) == device)
      number[device] = result.graph.add_device(all.devices[device].kind, all.devices[device].name,
                                               all.node_of[device]);
  }
  int unused = 0;
  for (const PlatformLink& link : links) {
    if (link.a == kNowhere) {
      ++unused;
      continue;
    }
    const std::size_t a = number[find(link.a)], b = number[find(link.b)];
    if (a == b)
      throw InputError(link.where, "\"" + link.id +
                                       "\" would join a switch to itself: routes cross it between "
                                       "any two hosts, which no cable does; leave it out of them");
    const bool port = result.graph.devices[a].kind == DeviceKind::gpu ||
                      result.graph.devices[b].kind == DeviceKind::gpu;
    result.graph.cables.push_back(
        {a, b, port ? LinkTier::nic : LinkTier::leaf_spine, link.bandwidth, link.latency, link.id});
  }
  if (unused > 0)
    result.notes.push_back(std::to_string(unused) + " links are on no route and left out");
  if (shared > 0)
    result.notes.push_back(std::to_string(shared) +
                           " links share their bandwidth between both directions (SHARED); here "
                           "each direction has it all");
}

ImportedGraph read_simgrid_xml(const std::string& text,
                               const std::string& name,
                               const GraphImportOptions&) {
  const XmlElement root = read_xml_text(text, name);
  if (root.name != "platform") root.fail("wants the element \"platform\"");
  Platform platform;
  platform.result.graph.source = "SimGrid platform, " + name;
  platform.read_zone(root);
  platform.finish();
  return platform.result;
}

bool probe_simgrid_xml(const std::string& text) {
  return text.find("<platform") != std::string::npos;
}

const Registered<GraphImporter> registered{
    "simgrid_xml", "a SimGrid platform file", {probe_simgrid_xml, read_simgrid_xml}};

}  // namespace
}  // namespace moesim
