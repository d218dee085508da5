// Detours: paths of a fabric that has lost links. Every topology's routes are kept where they still
// lead, and go around where they do not.
#pragma once

#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim {

// Takes links out: their edges leave the graph (the numbers of links stay), and the route goes
// around them. Of two ranks, the first that exists: the path as before; a path of fewest links
// through no third GPU (another spine, another plane, round a ring), equal ones sharing the pairs
// of ranks; over a neighbour: from the source inside its node to the next GPU that has a way, on
// from there, and likewise into the destination's node (NCCL's PXN). Who passes on what is not its
// own is marked in fabric.passes_on. Two ranks without any of these keep their old path, which
// is_whole tells. Walks the paths of all pairs of ranks.
void take_out(Fabric& fabric, const std::vector<LinkId>& links);

// By LinkId, whether the link is in the graph.
std::vector<char> present_links(const Fabric& fabric);

// Whether every link of the path between two ranks is present.
bool is_whole(const Fabric& fabric, const std::vector<char>& present, Rank from, Rank to);

}  // namespace moesim
