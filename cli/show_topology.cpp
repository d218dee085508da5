// moesim show topology: the fabric of a preset, a scenario or a graph file, as a table and as a
// picture.
#include <fmt/format.h>

#include <memory>

#include "analysis/topology/fabric_picture.h"
#include "cli/commands.h"
#include "cli/outside_option.h"
#include "sim/cluster/fabric_file.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "sim/scenario/scenario.h"

namespace moesim {
namespace {

struct ShowArguments {
  Outside outside = Outside::refused;
  std::string what, out;
  std::vector<std::string> overrides;
  int nodes = 0;
  bool json = false;
};

// A graph file alone names no accelerator; its bandwidths are all in it.
Fabric fabric_of_graph(const std::string& path) {
  const FabricFile graph = read_fabric_file(path);
  TopologyOptions options;
  options.nodes = graph.nodes;
  options.gpus_per_node = graph.gpus_per_node;
  options.nvlink = options.nic = BytesPerSecond(1);
  options.graph = path;
  return Catalog<TopologyPart>::instance().at("custom", "topology")(options);
}

ClusterSpec spec_of(const ShowArguments& arguments, bool scenario) {
  if (scenario)
    return load_study(arguments.what, arguments.overrides, arguments.outside)
        .points.front()
        .scenario.cluster;
  ClusterSpec spec = load_cluster_preset(arguments.what);
  for (const std::string& set : arguments.overrides) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos)
      throw InputError("--set " + set + ": wants key=value, as in --set topology=fat_tree");
    std::string key = set.substr(0, equals), value = set.substr(equals + 1);
    if (key.starts_with("cluster.")) key.erase(0, 8);
    const std::string first(1, value.empty() ? '"' : value.front());
    const bool json = std::string("0123456789[{\"-").find(first) != std::string::npos &&
                      value.find(' ') == std::string::npos;
    if (!json) value = fmt::format("\"{}\"", value);
    const JsonNode node =
        read_json_text(fmt::format(R"({{"{}": {}}})", key, value), "--set " + set);
    node.allow_only(cluster_keys());
    read_cluster_keys(node, spec);
  }
  return spec;
}

Fabric fabric_of(const ShowArguments& arguments) {
  const bool file =
      arguments.what.find('/') != std::string::npos || arguments.what.ends_with(".json");
  bool scenario = false;
  if (file) {
    const JsonNode root = read_json_file(arguments.what);
    if (root.is_object() && root.has("devices")) return fabric_of_graph(arguments.what);
    scenario = root.is_object() && root.has("model");
  }
  ClusterSpec spec = spec_of(arguments, scenario);
  if (arguments.nodes > 0) spec.options.nodes = arguments.nodes;
  return build_cluster(spec).fabric;
}

void show(const ShowArguments& arguments) {
  const std::vector<std::string> inputs{arguments.what};
  if (!arguments.out.empty()) check_writable(arguments.out, inputs);
  const Fabric fabric = fabric_of(arguments);
  const FabricSummary summary = summary_of(fabric);
  const std::string title = fmt::format("{}: {}, {} nodes x {} GPUs", arguments.what,
                                        fabric.topology, summary.nodes, summary.ranks_per_node);
  fmt::print("{}",
             arguments.json ? fabric_json(summary, fabric.topology) : fabric_text(summary, title));
  if (arguments.out.empty()) return;
  write_file(arguments.out, fabric_svg(picture_of(fabric), summary, title));
  if (!arguments.json) fmt::print("\n  {}\n", arguments.out);
}

void add_show_topology(CLI::App& command) {
  const auto arguments = std::make_shared<ShowArguments>();
  command
      .add_option("what", arguments->what,
                  "a cluster preset (moesim list clusters), a scenario or a graph file")
      ->required();
  command.add_option("--out", arguments->out, "write a picture (SVG)");
  command.add_option("--nodes", arguments->nodes, "with that many nodes")
      ->check(CLI::Range(1, 65536));
  command.add_option("--set", arguments->overrides, "override a key of the cluster")
      ->allow_extra_args(false);
  add_outside_option(command, arguments->outside);
  command.add_flag("--json", arguments->json, "print JSON: bytes a second, seconds");
  command.footer("Example: moesim show topology h100-ib --nodes 40 --out h100.svg");
  command.callback([arguments] { show(*arguments); });
}

const Registered<ShowCommand> registered{
    "topology", "Draw a fabric and state its bandwidths", {add_show_topology}};

}  // namespace
}  // namespace moesim
