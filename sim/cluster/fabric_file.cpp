// Reading, checking and writing fabric files.
#include "sim/cluster/fabric_file.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/io/json_reader.h"

namespace moesim {
namespace {

using DeviceNumbers = std::map<std::string, std::size_t>;

// Runs `act`; an unknown name gets the place of `node`.
template <class Act>
auto at_place(const JsonNode& node, Act act) {
  try {
    return act();
  } catch (const InputError& error) {
    node.fail(error.what());
  }
}

void read_device(const JsonNode& node, FabricFile& graph, DeviceNumbers& numbers) {
  node.allow_only({"name", "kind", "node"});
  const JsonNode kind = node.at("kind"), name = node.at("name");
  const DeviceKind parsed = at_place(kind, [&] { return device_kind_named(kind.as_string()); });
  const auto in_node = node.find("node");
  const int number = in_node ? static_cast<int>(in_node->as_int(0, 65535)) : 0;
  const std::size_t device = graph.add_device(parsed, name.as_string(), number);
  if (!numbers.emplace(name.as_string(), device).second)
    name.fail("another device is named \"" + name.as_string() + "\" too");
}

std::size_t end_of(const JsonNode& node, const DeviceNumbers& numbers) {
  const std::string name = node.as_string();
  const auto found = numbers.find(name);
  if (found != numbers.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : numbers) names.push_back(entry.first);
  const auto nearest = nearest_name(name, names);
  node.fail("no device is named \"" + name + "\"" +
            (nearest ? "; did you mean \"" + *nearest + "\"?" : ""));
}

FabricFile::Cable read_cable(const JsonNode& node, const DeviceNumbers& numbers) {
  node.allow_only({"between", "tier", "bandwidth", "latency", "name"});
  const JsonNode between = node.at("between"), tier = node.at("tier"),
                 bandwidth = node.at("bandwidth");
  const std::vector<JsonNode> ends = between.items();
  if (ends.size() != 2) between.fail("wants two names of devices, as in [\"gpu 0\", \"leaf 0\"]");
  FabricFile::Cable cable;
  cable.a = end_of(ends[0], numbers);
  cable.b = end_of(ends[1], numbers);
  if (cable.a == cable.b) between.fail("a link joins two devices, not one to itself");
  cable.tier = at_place(tier, [&] { return tier_named(tier.as_string()); });
  cable.bandwidth = bandwidth.as_bytes_per_second();
  if (!(cable.bandwidth.value >= 1)) bandwidth.fail("must be above 0, as in \"400 Gb/s\"");
  if (const auto latency = node.find("latency")) {
    cable.latency = latency->as_seconds();
    if (!(cable.latency.count() >= 0)) latency->fail("must not be negative, as in \"2 us\"");
  }
  if (const auto name = node.find("name")) cable.name = name->as_string();
  return cable;
}

std::string exact(BytesPerSecond rate) { return fmt::format("{} GB/s", rate.value / 1e9); }

// What a name's bytes must be for a JSON file to hold it.
bool is_utf8(const std::string& name) {
  try {
    return !nlohmann::json(name).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

void check_cables(const FabricFile& graph, const std::string& file) {
  const Location where{file, 0, 0, "links"};
  std::set<std::string> names;
  for (const FabricFile::Cable& cable : graph.cables) {
    const std::string link =
        cable.name.empty() ? graph.devices[cable.a].name + " to " + graph.devices[cable.b].name
                           : cable.name;
    if (!is_utf8(cable.name)) throw InputError(where, "a link's name is not UTF-8");
    if (!cable.name.empty() && !names.insert(cable.name).second)
      throw InputError(where, "two links are named \"" + cable.name + "\"");
    if (!(cable.bandwidth.value >= 1) || !std::isfinite(cable.bandwidth.value))
      throw InputError(where, "the bandwidth of link \"" + link + "\" is not above 0 and finite");
    constexpr double kLongest = 1000;  // s
    if (!(cable.latency.count() >= 0) || cable.latency.count() > kLongest)
      throw InputError(where, "the latency of link \"" + link + "\" is not 0 to 1000 s");
  }
}

}  // namespace

std::size_t FabricFile::add_device(DeviceKind kind, const std::string& name, int node) {
  devices.push_back(Device{kind, name});
  node_of.push_back(node);
  return devices.size() - 1;
}

void check_fabric_file(FabricFile& graph, const std::string& file) {
  const auto fail = [&](const std::string& message) {
    throw InputError(Location{file, 0, 0, "devices"}, message);
  };
  std::set<std::string> names;
  std::vector<int> gpus;  // by node
  for (std::size_t device = 0; device < graph.devices.size(); ++device) {
    const std::string& name = graph.devices[device].name;
    if (!is_utf8(name)) fail("a device's name is not UTF-8");
    if (!names.insert(name).second) fail("two devices are named \"" + name + "\"");
    if (graph.devices[device].kind != DeviceKind::gpu) continue;
    const auto node = static_cast<std::size_t>(graph.node_of[device]);
    if (node == gpus.size()) gpus.push_back(0);
    if (node + 1 != gpus.size())
      fail("GPU \"" + name + "\" of node " + std::to_string(node) +
           " stands out of order: list GPUs node by node, from node 0");
    ++gpus[node];
  }
  if (gpus.empty()) fail("holds no device of kind \"gpu\"");
  for (std::size_t node = 1; node < gpus.size(); ++node) {
    if (gpus[node] != gpus[0])
      fail("node " + std::to_string(node) + " has " + std::to_string(gpus[node]) +
           " GPUs and node 0 has " + std::to_string(gpus[0]) + "; all must have the same number");
  }
  graph.nodes = static_cast<int>(gpus.size());
  graph.gpus_per_node = gpus[0];
  check_cables(graph, file);
}

FabricFile read_fabric_file(const std::string& path) {
  const JsonNode root = read_json_file(path);
  root.allow_only({"source", "devices", "links"});
  FabricFile graph;
  DeviceNumbers numbers;
  graph.source = root.at("source").as_string();
  for (const JsonNode& node : root.at("devices").items()) read_device(node, graph, numbers);
  std::set<std::string> names;
  for (const JsonNode& node : root.at("links").items()) {
    graph.cables.push_back(read_cable(node, numbers));
    const std::string& name = graph.cables.back().name;
    if (!name.empty() && !names.insert(name).second)
      node.at("name").fail("another link is named \"" + name + "\" too");
  }
  check_fabric_file(graph, path);
  return graph;
}

std::string to_json(const FabricFile& graph) {
  // By hand, one device or link a line: people read and edit these files.
  const auto quoted = [](const std::string& text) { return nlohmann::json(text).dump(); };
  std::string text = "{\n  \"source\": " + quoted(graph.source) + ",\n  \"devices\": [";
  for (std::size_t device = 0; device < graph.devices.size(); ++device) {
    const Device& one = graph.devices[device];
    text += fmt::format("{}\n    {{\"name\": {}, \"kind\": \"{}\"", device == 0 ? "" : ",",
                        quoted(one.name), to_text(one.kind));
    if (one.kind == DeviceKind::gpu) text += fmt::format(", \"node\": {}", graph.node_of[device]);
    text += "}";
  }
  text += "\n  ],\n  \"links\": [";
  for (std::size_t cable = 0; cable < graph.cables.size(); ++cable) {
    const FabricFile::Cable& one = graph.cables[cable];
    text += fmt::format(
        "{}\n    {{\"between\": [{}, {}], \"tier\": \"{}\", \"bandwidth\": \"{}\", "
        "\"latency\": \"{} us\"",
        cable == 0 ? "" : ",", quoted(graph.devices[one.a].name), quoted(graph.devices[one.b].name),
        tier_name(one.tier), exact(one.bandwidth), one.latency.count() * 1e6);
    if (!one.name.empty()) text += ", \"name\": " + quoted(one.name);
    text += "}";
  }
  return text + "\n  ]\n}\n";
}

FabricFile fabric_file_of(const Fabric& fabric) {
  FabricFile graph;
  graph.source = "topology \"" + fabric.topology + "\"";
  for (Vertex device = 0; device < boost::num_vertices(fabric.graph); ++device) {
    const Device& one = fabric.graph[device];
    const bool gpu = one.kind == DeviceKind::gpu;
    graph.add_device(one.kind, one.name, gpu ? fabric.node_of(id_of<Rank>(device)) : 0);
  }
  const std::vector<LinkEnds> ends = link_ends(fabric);
  for (std::size_t link = 0; link < fabric.links.size(); link += 2) {  // "out", then "in"
    const Link& one = fabric.links[link];
    graph.cables.push_back({ends[link].from, ends[link].to, one.tier, one.bandwidth, one.latency,
                            one.name.substr(0, one.name.size() - 4)});
  }
  graph.nodes = fabric.nodes();
  graph.gpus_per_node = fabric.ranks_per_node;
  return graph;
}

}  // namespace moesim
