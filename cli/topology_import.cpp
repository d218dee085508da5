// moesim topology import: a machine or network as another program describes it, into the graph file
// of topology "custom".
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "sim/cluster/graph_importer.h"
#include "sim/io/files.h"

namespace moesim {
namespace {

struct ImportArguments {
  std::string file, out, format;
  std::string nvlink, nic, pcie, host;
};

BytesPerSecond rate_of(const char* option, const std::string& text) {
  if (text.empty()) return {};
  try {
    return parse_bytes_per_second(text);
  } catch (const UnitError& error) {
    throw InputError(std::string(option) + ": " + error.what());
  }
}

void import_file(const ImportArguments& arguments) {
  const std::vector<std::string> inputs{arguments.file};
  check_writable(arguments.out, inputs);
  const GraphImportOptions options{
      rate_of("--nvlink", arguments.nvlink), rate_of("--nic", arguments.nic),
      rate_of("--pcie", arguments.pcie), rate_of("--host", arguments.host)};
  const ImportedGraph imported = import_graph(arguments.file, arguments.format, options);
  write_file(arguments.out, to_json(imported.graph));
  fmt::print("{}: {} nodes of {} GPUs, {} devices, {} links\n", arguments.out, imported.graph.nodes,
             imported.graph.gpus_per_node, imported.graph.devices.size(),
             imported.graph.cables.size());
  for (const std::string& note : imported.notes) fmt::print("  note: {}\n", note);
}

void add_import(CLI::App& command) {
  const auto arguments = std::make_shared<ImportArguments>();
  command.add_option("file", arguments->file, "what the other program wrote")->required();
  command.add_option("--out", arguments->out, "graph file to write (JSON)")->required();
  command.add_option("--format", arguments->format,
                     "one of `moesim list graph_importers` (default: the one that fits)");
  command.add_option("--nvlink", arguments->nvlink, "one direction of one NVLink, \"25 GB/s\"");
  command.add_option("--nic", arguments->nic, "one direction of a NIC, \"400 Gb/s\"");
  command.add_option("--pcie", arguments->pcie, "one direction of a PCIe port, \"64 GB/s\"");
  command.add_option("--host", arguments->host, "one direction between two CPUs, \"32 GB/s\"");
  command.footer(
      "The graph is used by \"cluster\": {\"topology\": \"custom\", \"graph\": FILE, ...}.\n"
      "Example: nvidia-smi topo -m > node.txt && moesim topology import node.txt --out node.json");
  command.callback([arguments] { import_file(*arguments); });
}

const Registered<TopologyCommand> registered{
    "import", "Read nvidia-smi topo -m, an NCCL or a SimGrid file into a graph", {add_import}};

}  // namespace
}  // namespace moesim
