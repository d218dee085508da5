// two_batch: the batch is cut in two, and while one half's dispatch or combine is on its way the
// other half computes. In prefill both halves take the same part of a layer one after the other; in
// decode the second is a part of a layer behind, so that attention always hides a combine and the
// experts a dispatch. As DeepSeek describes its own serving
// (github.com/deepseek-ai/open-infra-index, 202502OpenSourceWeek/day_6, and profile-data).
#include "sim/plan/overlap.h"

namespace moesim {
namespace {

std::vector<TaskPlace> in_turn(std::vector<LayerTasks>& lists, Phase phase) {
  for (LayerTasks& list : lists) free_shared_experts(list);
  return alternate(lists, phase == Phase::prefill ? 0 : 1);
}

const Registered<OverlapPart> registered{
    "two_batch", "half of the batch computes while the other half's tokens travel", {2, in_turn}};

}  // namespace
}  // namespace moesim
