// shared_expert: the shared expert's kernel runs while dispatch is on its way.
#include "sim/plan/overlap.h"

namespace moesim {
namespace {

std::vector<TaskPlace> beside_dispatch(std::vector<LayerTasks>& lists, Phase) {
  free_shared_experts(lists.at(0));
  std::vector<TaskPlace> order(lists[0].size());
  for (std::size_t task = 0; task < order.size(); ++task) order[task].task = task;
  return order;
}

const Registered<OverlapPart> registered{
    "shared_expert", "the shared expert runs while dispatch is on its way", {1, beside_dispatch}};

}  // namespace
}  // namespace moesim
