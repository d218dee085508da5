// A fabric of any topology of the catalog with a number of ranks, and how far its devices are.
#pragma once

#include <doctest/doctest.h>

#include <boost/range/iterator_range.hpp>
#include <optional>
#include <string>

#include "sim/cluster/fabric_file.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"
#include "tests/topologies/fabric_fixture.h"

namespace moesim::test {

// The graph of another topology of that size as a file, for topology "custom" to read.
inline std::string graph_file(int ranks) {
  static const TemporaryFolder folder;
  const std::string path = folder.path() + "/" + std::to_string(ranks) + ".json";
  const char* const other = ranks > 8 ? "rail_optimized" : "single_node";
  const TopologyPart& part = Catalog<TopologyPart>::instance().at(other, "topology");
  write_file(path,
             to_json(fabric_file_of(part(options_of(std::max(1, ranks / 8), std::min(ranks, 8))))));
  return path;
}

// The fabric of `topology` with that many ranks, in nodes of 8 where it joins nodes, else in one;
// nothing where a mesh of so many would be absurd.
inline std::optional<Fabric> build_of_size(const std::string& topology, int ranks) {
  const TopologyPart& part = Catalog<TopologyPart>::instance().at(topology, "topology");
  TopologyOptions options = options_of(std::max(1, ranks / 8), std::min(ranks, 8));
  if (topology == "custom") options.graph = graph_file(ranks);
  try {
    return part(options);
  } catch (const InputError&) {
  }
  options = options_of(1, ranks);
  if (topology == "nvlink_mesh" && ranks > 64) {
    CHECK_THROWS_WITH_AS(part(options), doctest::Contains("gpus_per_node"), InputError);
    return std::nullopt;
  }
  return part(options);
}

// Hops to all devices, over paths that lead through no third GPU or over any; -1 = no path.
inline std::vector<int> hops_from(const Fabric& fabric, Vertex source, bool through_gpus = false) {
  std::vector<int> hops(boost::num_vertices(fabric.graph), -1);
  std::vector<Vertex> open{source};
  hops[source] = 0;
  for (std::size_t next = 0; next < open.size(); ++next) {
    const Vertex at = open[next];
    const bool gpu = at < static_cast<Vertex>(fabric.ranks);
    if (gpu && at != source && !through_gpus) continue;
    for (const auto edge : boost::make_iterator_range(boost::out_edges(at, fabric.graph))) {
      const Vertex to = boost::target(edge, fabric.graph);
      if (hops[to] >= 0) continue;
      hops[to] = hops[at] + 1;
      open.push_back(to);
    }
  }
  return hops;
}

}  // namespace moesim::test
