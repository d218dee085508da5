// none: one task after the other.
#include "sim/plan/overlap.h"

namespace moesim {
namespace {

std::vector<TaskPlace> in_order(std::vector<LayerTasks>& lists, Phase) {
  std::vector<TaskPlace> order(lists.at(0).size());
  for (std::size_t task = 0; task < order.size(); ++task) order[task].task = task;
  return order;
}

const Registered<OverlapPart> registered{
    "none", "every task waits for the one before it", {1, in_order}};

}  // namespace
}  // namespace moesim
