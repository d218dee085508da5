// Groups to nodes.
#include "sim/cluster/node_group.h"

#include <algorithm>
#include <numeric>

#include "sim/io/json_path.h"

namespace moesim {
namespace {

BytesPerSecond read_rate(const JsonNode& group, const char* key) {
  const auto found = group.find(key);
  if (!found) return {};
  const BytesPerSecond rate = found->as_bytes_per_second();
  if (!(rate.value >= 1)) found->fail("bandwidth must be above 0, as in \"400 Gb/s\"");
  return rate;
}

Accelerator accelerator_of(const NodeGroup& group, const Accelerator& usual) {
  const bool other = !group.accelerator.empty() && group.accelerator != usual.name;
  return other ? load_accelerator(group.accelerator) : usual;
}

}  // namespace

std::vector<NodeGroup> read_node_groups(const JsonNode& node) {
  std::vector<NodeGroup> groups;
  for (const JsonNode& item : node.items()) {
    item.allow_only({"nodes", "accelerator", "nvlink", "nic", "slow"});
    NodeGroup group;
    group.nodes = static_cast<int>(item.at("nodes").as_int(1, 65536));
    if (const auto name = item.find("accelerator")) {
      group.accelerator = name_or_path(*name, accelerator_names());
      if (is_path(group.accelerator))
        check_readable(*name, group.accelerator);
      else
        name->as_choice(accelerator_names(), "accelerator");
    }
    group.nvlink = read_rate(item, "nvlink");
    group.nic = read_rate(item, "nic");
    if (const auto slow = item.find("slow")) group.slow = slow->as_ratio(1, 1000);
    groups.push_back(group);
  }
  if (groups.empty()) node.fail("wants at least one group, as in [{\"nodes\": 2, \"slow\": 1.2}]");
  return groups;
}

int nodes_of(const std::vector<NodeGroup>& groups) {
  return std::accumulate(groups.begin(), groups.end(), 0,
                         [](int sum, const NodeGroup& group) { return sum + group.nodes; });
}

std::vector<double> slow_by_rank(const std::vector<NodeGroup>& groups, int gpus_per_node) {
  const auto same = [](const NodeGroup& group) { return group.slow == 1; };
  if (std::all_of(groups.begin(), groups.end(), same)) return {};
  std::vector<double> slow;
  for (const NodeGroup& group : groups)
    slow.insert(slow.end(),
                static_cast<std::size_t>(group.nodes) * static_cast<std::size_t>(gpus_per_node),
                group.slow);
  return slow;
}

std::vector<Accelerator> accelerators_by_node(const std::vector<NodeGroup>& groups,
                                              const Accelerator& usual,
                                              TopologyOptions& options) {
  if (groups.empty()) return {};
  if (nodes_of(groups) != options.nodes)
    refuse_option("node_groups", "the groups have " + std::to_string(nodes_of(groups)) +
                                     " nodes together, the cluster " +
                                     std::to_string(options.nodes) + " (nodes)");
  std::vector<Accelerator> accelerators;
  std::vector<NodeBandwidth> bandwidths;
  bool alike = true;
  for (const NodeGroup& group : groups) {
    const Accelerator accelerator = accelerator_of(group, usual);
    const BytesPerSecond own = accelerator.name == usual.name ? options.nvlink : accelerator.nvlink;
    const NodeBandwidth bandwidth{group.nvlink == BytesPerSecond{} ? own : group.nvlink,
                                  group.nic == BytesPerSecond{} ? options.nic : group.nic};
    alike = alike && bandwidth.nvlink == options.nvlink && bandwidth.nic == options.nic;
    const auto count = static_cast<std::size_t>(group.nodes);
    accelerators.insert(accelerators.end(), count, accelerator);
    bandwidths.insert(bandwidths.end(), count, bandwidth);
  }
  if (!alike) options.by_node = bandwidths;
  return accelerators;
}

}  // namespace moesim
