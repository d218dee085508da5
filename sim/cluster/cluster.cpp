// Cluster presets, the keys that override them, and the cluster they build.
#include "sim/cluster/cluster.h"

#include "sim/cluster/fabric_file.h"
#include "sim/cluster/json_folder.h"
#include "sim/io/json_path.h"
#include "sim/io/kept_json.h"

namespace moesim {
namespace {

constexpr const char* kFolder = "topologies/clusters";

void read_int(const JsonNode& node, const char* key, int& value) {
  if (const auto found = node.find(key)) value = static_cast<int>(found->as_int(1, 65536));
}

void read_rate(const JsonNode& node, const char* key, BytesPerSecond& value) {
  const auto found = node.find(key);
  if (!found) return;
  value = found->as_bytes_per_second();
  if (!(value.value > 0)) found->fail("bandwidth must be above 0, as in \"400 Gb/s\"");
}

void read_latency(const JsonNode& node, const char* key, Seconds& value) {
  const auto found = node.find(key);
  if (!found) return;
  value = found->as_seconds();
  if (!(value.count() >= 0)) found->fail("latency must not be negative, as in \"2 us\"");
}

void read_name(const JsonNode& node,
               const char* key,
               const std::vector<std::string>& valid,
               std::string& value) {
  const auto found = node.find(key);
  if (!found) return;
  value = name_or_path(*found, valid);
  if (is_path(value))
    check_readable(*found, value);
  else
    found->as_choice(valid, key);
}

// A path starts from the folder of the file it stands in, one given by --set from where the user
// is.
std::string path_from(const JsonNode& node) {
  const std::string file = node.where().file;
  const std::size_t slash = file.rfind('/');
  return path_in(node, slash == std::string::npos ? "" : file.substr(0, slash));
}

void read_graph(const JsonNode& cluster, TopologyOptions& options) {
  const auto graph = cluster.find("graph");
  if (!graph) return;
  options.graph = path_from(*graph);
  const FabricFile read = read_fabric_file(options.graph);
  if (!cluster.has("nodes")) options.nodes = read.nodes;
  if (!cluster.has("gpus_per_node")) options.gpus_per_node = read.gpus_per_node;
}

void read_shape(const JsonNode& node, TopologyOptions& options) {
  // Far more than any pool: how many are too many, and why, is for whoever builds them to say.
  if (const auto nodes = node.find("nodes"))
    options.nodes = static_cast<int>(nodes->as_int(1, 1 << 30));
  read_int(node, "gpus_per_node", options.gpus_per_node);
  read_int(node, "nodes_per_leaf", options.nodes_per_leaf);
  read_int(node, "planes", options.planes);
  read_int(node, "gpus_per_tray", options.gpus_per_tray);
  read_int(node, "switch_ports", options.switch_ports);
  read_int(node, "gpus_per_switch", options.gpus_per_switch);
  read_int(node, "switches_per_group", options.switches_per_group);
  if (const auto torus = node.find("torus")) {
    options.torus.clear();
    for (const JsonNode& side : torus->items())
      options.torus.push_back(static_cast<int>(side.as_int(1, 65536)));
  }
  if (const auto scale_up = node.find("scale_up"))
    options.scale_up = scale_up->as_choice({"nvswitch", "mesh"}, "scale-up network") == "mesh"
                           ? ScaleUp::mesh
                           : ScaleUp::nvswitch;
  read_graph(node, options);
}

void read_link_health(const JsonNode& node, ClusterSpec& spec) {
  spec.link_health.clear();
  for (const std::string& name : node.keys()) {
    if (name.starts_with("_")) continue;
    const JsonNode ratio = node.at(name);
    const double left = ratio.as_ratio(0, 1);
    if (left <= 0) ratio.fail("must be above 0: a link that carries nothing has no time");
    spec.link_health.push_back({name, left, ratio.where()});
  }
}

ClusterSpec read_preset(const std::string& name, const JsonNode& node) {
  node.allow_only(cluster_keys());
  ClusterSpec spec;
  spec.preset = name;
  for (const char* key : {"accelerator", "topology", "source"}) node.at(key);
  read_cluster_keys(node, spec);
  return spec;
}

}  // namespace

const std::vector<std::string>& cluster_keys() {
  static const std::vector<std::string> keys{"accelerator",
                                             "topology",
                                             "source",
                                             "nodes",
                                             "gpus_per_node",
                                             "nvlink",
                                             "nic",
                                             "nvlink_latency",
                                             "nic_latency",
                                             "spine_latency",
                                             "scale_up",
                                             "nodes_per_leaf",
                                             "congestion",
                                             "oversubscription",
                                             "planes",
                                             "gpus_per_tray",
                                             "switch_ports",
                                             "gpus_per_switch",
                                             "switches_per_group",
                                             "torus",
                                             "switch_link",
                                             "graph",
                                             "link_health",
                                             "node_groups",
                                             "posted_by",
                                             "calibration",
                                             "kernel_table"};
  return keys;
}

void read_cluster_keys(const JsonNode& node, ClusterSpec& spec) {
  read_name(node, "accelerator", accelerator_names(), spec.accelerator);
  if (const auto topology = node.find("topology"))
    spec.topology = topology->as_choice(Catalog<TopologyPart>::instance().names(), "topology");
  if (const auto source = node.find("source")) spec.source = source->as_string();
  if (const auto posted = node.find("posted_by"))
    spec.cpu_proxy = posted->as_choice({"gpu", "cpu"}, "poster") == "cpu";
  if (const auto calibration = node.find("calibration")) spec.calibration = path_from(*calibration);
  if (const auto table = node.find("kernel_table")) spec.kernel_table = path_from(*table);

  TopologyOptions& options = spec.options;
  read_shape(node, options);
  read_rate(node, "nvlink", options.nvlink);
  read_rate(node, "nic", options.nic);
  read_rate(node, "switch_link", options.switch_link);
  read_latency(node, "nvlink_latency", options.nvlink_latency);
  read_latency(node, "nic_latency", options.nic_latency);
  read_latency(node, "spine_latency", options.spine_latency);
  if (const auto oversubscription = node.find("oversubscription"))
    options.oversubscription = oversubscription->as_ratio(1, 1000);
  if (const auto congestion = node.find("congestion"))
    options.ecmp = congestion->as_choice({"ecmp", "ideal"}, "congestion") == "ecmp";
  if (const auto health = node.find("link_health")) read_link_health(*health, spec);
  if (const auto groups = node.find("node_groups")) {
    spec.node_groups = read_node_groups(*groups);
    if (!node.has("nodes")) options.nodes = nodes_of(spec.node_groups);
  }
}

std::vector<std::string> cluster_preset_names() { return json_names(kFolder); }

ClusterSpec load_cluster_preset(const std::string& name_or_path) {
  return read_preset(name_or_path,
                     kept_json_file(json_path(kFolder, name_or_path, "cluster preset")));
}

ClusterSpec load_cluster_preset(const JsonNode& node) {
  const std::string preset = name_or_path(node, cluster_preset_names());
  const std::string path = json_path(kFolder, preset, "cluster preset");
  if (is_path(preset)) check_readable(node, path);
  return read_preset(preset, open_json(node, path));
}

Cluster build_cluster(const ClusterSpec& spec) {
  Cluster cluster{spec, load_accelerator(spec.accelerator), {}, {}, {}};
  TopologyOptions& options = cluster.spec.options;
  if (options.nvlink == BytesPerSecond{}) options.nvlink = cluster.accelerator.nvlink;
  cluster.by_node = accelerators_by_node(spec.node_groups, cluster.accelerator, options);
  cluster.slow = slow_by_rank(spec.node_groups, options.gpus_per_node);
  const TopologyPart& topology = Catalog<TopologyPart>::instance().at(spec.topology, "topology");
  cluster.fabric = topology(options);
  apply_link_health(cluster.fabric, spec.link_health);
  return cluster;
}

}  // namespace moesim
