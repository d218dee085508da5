// Fabrics from files: every graph importer on the same text, whether or not it knows it, and the
// project's own graph. What is read must come back from its own file, and be built and routed.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "sim/cluster/graph_importer.h"
#include "sim/cluster/topology_options.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace moesim;

constexpr int kMostRanks = 64;
constexpr int kMostRoutes = 8;  // ranks whose pairs are routed

void build_and_route(const FabricFile& graph, const std::string& path) {
  if (graph.nodes * graph.gpus_per_node > kMostRanks) return;  // least-cost paths of all pairs
  TopologyOptions options;
  options.nodes = graph.nodes;
  options.gpus_per_node = graph.gpus_per_node;
  options.nvlink = BytesPerSecond{1e9};
  options.graph = path;
  const Fabric fabric = Catalog<TopologyPart>::instance().at("custom", "topology")(options);
  std::vector<LinkId> links;
  const int ranks = std::min(fabric.ranks, kMostRoutes);
  for (int pair = 0; pair < ranks * ranks; ++pair) {
    links.clear();
    if (pair / ranks != pair % ranks)
      fabric.route(Rank{pair / ranks}, Rank{pair % ranks}, 0, links);
  }
}

// Not guarded: a file of our own that is refused is found.
void write_and_read_again(const FabricFile& graph) {
  const std::string json = to_json(graph);
  const fuzz::MemoryFile file(reinterpret_cast<const std::uint8_t*>(json.data()), json.size());
  const FabricFile back = read_fabric_file(file.path());
  if (back.cables.size() != graph.cables.size() || back.nodes != graph.nodes) std::abort();
  fuzz::refuse_or_read([&] { build_and_route(back, file.path()); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  for (const auto& [name, entry] : Catalog<GraphImporter>::instance().entries()) {
    entry.part.probe(text);
    const auto& read = entry.part.read;
    std::optional<FabricFile> graph;
    fuzz::refuse_or_read([&] {
      FabricFile one = read(text, "fuzz", {}).graph;
      check_fabric_file(one, "fuzz");
      graph = one;
    });
    if (graph) write_and_read_again(*graph);
  }
  const fuzz::MemoryFile file(data, size);
  return fuzz::refuse_or_read([&] { build_and_route(read_fabric_file(file.path()), file.path()); });
}
