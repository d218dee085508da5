// one_f_one_b: each stage fills the pipeline, then works forward and backward in turn (PipeDream-
// Flush; with virtual stages Megatron's interleaving, Narayanan et al., SC 2021, section 2.2).
#include <fmt/format.h>

#include <algorithm>

#include "sim/train/pipeline.h"

namespace moesim {
namespace {

int segments(const PipelineShape& shape) { return shape.stages * shape.virtual_stages; }

std::vector<std::vector<int>> held(const PipelineShape& shape) {
  std::vector<std::vector<int>> by_stage(static_cast<std::size_t>(shape.stages));
  for (int segment = 0; segment < segments(shape); ++segment)
    by_stage[static_cast<std::size_t>(segment % shape.stages)].push_back(segment);
  return by_stage;
}

// The n-th task of a direction: micro-batches in groups as large as there are stages, a group
// through one chunk after another.
StageTask task_of(const PipelineShape& shape, StageWork work, int stage, int n) {
  const int group_tasks = shape.stages * shape.virtual_stages;
  const int first = n / group_tasks * shape.stages, within = n % group_tasks;
  const int group = std::min(shape.stages, shape.micro_batches - first);
  const int chunk = within / group;
  const int from_end = shape.virtual_stages - 1 - chunk;
  return {work, first + within % group,
          (work == StageWork::forward ? chunk : from_end) * shape.stages + stage};
}

// Forward passes before the first backward one.
int warm_up(const PipelineShape& shape, int stage) {
  const int behind = shape.stages - stage - 1, extra = shape.overlap ? 1 : 0;
  const int depth =
      shape.virtual_stages == 1 ? behind : 2 * behind + (shape.virtual_stages - 1) * shape.stages;
  return std::min(depth + extra, shape.micro_batches * shape.virtual_stages);
}

std::vector<std::vector<StageTask>> tasks(const PipelineShape& shape) {
  std::vector<std::vector<StageTask>> by_stage;
  const int all = shape.micro_batches * shape.virtual_stages;
  for (int stage = 0; stage < shape.stages; ++stage) {
    std::vector<StageTask> order;
    order.reserve(2 * static_cast<std::size_t>(all));
    const int before = warm_up(shape, stage);
    for (int n = 0; n < before; ++n) order.push_back(task_of(shape, StageWork::forward, stage, n));
    for (int n = 0; n < all; ++n) {
      const bool both = n + before < all;
      if (both) {
        order.push_back(task_of(shape, StageWork::forward, stage, n + before));
      }
      order.push_back(task_of(shape, StageWork::backward, stage, n));
      if (!both || !shape.overlap) continue;
      StageTask& forward = order[order.size() - 2];
      forward.partner = order.back().segment;
      order.back().partner = forward.segment;
    }
    by_stage.push_back(std::move(order));
  }
  return by_stage;
}

void check(const PipelineShape& shape) {
  if (shape.virtual_stages > 1 && shape.micro_batches % shape.stages != 0)
    throw InputError(
        fmt::format("virtual_stages: {} micro-batches of a DP rank are no multiple of "
                    "{} stages, as interleaving needs",
                    shape.micro_batches, shape.stages));
}

const Registered<SchedulePart> registered{
    "one_f_one_b",
    "one forward, one backward in turn; interleaved where a stage holds several chunks",
    {segments, held, tasks, check}};

}  // namespace
}  // namespace moesim
