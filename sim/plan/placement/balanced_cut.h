// A graph cut into parts of exactly as many vertices each, little weight between them.
#pragma once

#include <boost/graph/adjacency_matrix.hpp>
#include <cstdint>
#include <vector>

namespace moesim {

// Vertices are replicas of experts, edges what is gained by having both ends in one part. Weights
// below 0 keep the ends apart. Edges of weight 0 may be left out.
struct ReplicaLoad {
  double load = 0;
};
struct TogetherWeight {
  double weight = 0;
};
using ReplicaGraph = boost::adjacency_matrix<boost::undirectedS, ReplicaLoad, TogetherWeight>;

// Moves and swaps bring no part's load further above the mean than this, unless one was there.
inline constexpr double kLoadSlack = 0.1;

// The part of each vertex. `parts` divides the vertices. Cut by METIS (recursive bisection, Karypis
// and Kumar 1998) by vertices alone: keeping to loads as well takes it five times as long and was
// not seen to give better cuts. Made exact by moving the vertices that lose least, and improved by
// swaps until none gains. Deterministic in the seed. MachineError where METIS runs out of memory,
// CheckError where it fails.
std::vector<std::size_t> balanced_cut(const ReplicaGraph& graph,
                                      std::size_t parts,
                                      std::uint64_t seed);

}  // namespace moesim
