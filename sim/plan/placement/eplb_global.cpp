// eplb_global: DeepSeek's load balancer without regard for nodes and expert groups, its "global"
// policy, as large EP groups of decode use it (github.com/deepseek-ai/EPLB, README).
#include "sim/plan/placement.h"

namespace moesim {
namespace {

std::vector<Placement> place(const PlacementInput& input) {
  PlacementInput flat = input;
  flat.nodes = flat.groups = 1;
  return Catalog<PlacementPart>::instance().at("eplb", "placement")(flat);
}

const Registered<PlacementPart> registered{
    "eplb_global", "eplb over all ranks at once, whatever the expert groups and nodes", place};

}  // namespace
}  // namespace moesim
