// Cluster presets, the keys that override them, and the cluster they build.
#include "sim/cluster/cluster.h"

#include "sim/cluster/json_folder.h"
#include "sim/io/json_reader.h"

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
  value = found->as_string();
  const bool is_path = value.find('/') != std::string::npos || value.ends_with(".json");
  if (!is_path) value = found->as_choice(valid, key);
}

}  // namespace

const std::vector<std::string>& cluster_keys() {
  static const std::vector<std::string> keys{
      "accelerator",    "topology",   "source",          "nodes",       "gpus_per_node",
      "nvlink",         "nic",        "nvlink_latency",  "nic_latency", "spine_latency",
      "nodes_per_leaf", "congestion", "oversubscription"};
  return keys;
}

void read_cluster_keys(const JsonNode& node, ClusterSpec& spec) {
  read_name(node, "accelerator", accelerator_names(), spec.accelerator);
  if (const auto topology = node.find("topology"))
    spec.topology = topology->as_choice(Catalog<TopologyPart>::instance().names(), "topology");
  if (const auto source = node.find("source")) spec.source = source->as_string();

  TopologyOptions& options = spec.options;
  read_int(node, "nodes", options.nodes);
  read_int(node, "gpus_per_node", options.gpus_per_node);
  read_int(node, "nodes_per_leaf", options.nodes_per_leaf);
  read_rate(node, "nvlink", options.nvlink);
  read_rate(node, "nic", options.nic);
  read_latency(node, "nvlink_latency", options.nvlink_latency);
  read_latency(node, "nic_latency", options.nic_latency);
  read_latency(node, "spine_latency", options.spine_latency);
  if (const auto oversubscription = node.find("oversubscription"))
    options.oversubscription = oversubscription->as_ratio(1, 1000);
  if (const auto congestion = node.find("congestion"))
    options.ecmp = congestion->as_choice({"ecmp", "ideal"}, "congestion") == "ecmp";
}

std::vector<std::string> cluster_preset_names() { return json_names(kFolder); }

ClusterSpec load_cluster_preset(const std::string& name_or_path) {
  const JsonNode node = read_json_file(json_path(kFolder, name_or_path, "cluster preset"));
  node.allow_only(cluster_keys());
  ClusterSpec spec;
  spec.preset = name_or_path;
  for (const char* key : {"accelerator", "topology", "source"}) node.at(key);
  read_cluster_keys(node, spec);
  return spec;
}

Cluster build_cluster(const ClusterSpec& spec) {
  Cluster cluster{spec, load_accelerator(spec.accelerator), {}};
  TopologyOptions& options = cluster.spec.options;
  if (options.nvlink == BytesPerSecond{}) options.nvlink = cluster.accelerator.nvlink;
  const TopologyPart& topology = Catalog<TopologyPart>::instance().at(spec.topology, "topology");
  cluster.fabric = topology(options);
  return cluster;
}

}  // namespace moesim
