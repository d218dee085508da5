// dualpipe: micro-batches enter at both ends and every stage holds two segments, so that forward of
// one direction overlaps backward of the other; weights' gradients fill what is left (DeepSeek-V3,
// arXiv 2412.19437, section 3.2.1; order of the eight phases: github.com/deepseek-ai/DualPipe).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>

#include "sim/train/pipeline.h"

namespace moesim {
namespace {

int segments(const PipelineShape& shape) { return shape.stages; }

std::vector<std::vector<int>> held(const PipelineShape& shape) {
  std::vector<std::vector<int>> by_stage;
  by_stage.reserve(static_cast<std::size_t>(shape.stages));
  for (int stage = 0; stage < shape.stages; ++stage)
    by_stage.push_back({stage, shape.stages - 1 - stage});
  return by_stage;
}

// One stage's order. Direction 0 is the one in which the stage stands nearer to the beginning: it
// comes first in each phase.
class StageOrder {
 public:
  StageOrder(const PipelineShape& shape, int stage) : shape_(shape), stage_(stage) {}

  std::vector<StageTask> make() {
    const int half = shape_.stages / 2, near = std::min(stage_, shape_.stages - 1 - stage_);
    const int of_direction = shape_.micro_batches / 2, outer = half - near - 1;
    for (int i = 0; i < 2 * outer; ++i) forward(0);
    for (int i = 0; i <= near; ++i) {
      forward(0);
      forward(1);
    }
    for (int i = 0; i < outer; ++i) {
      backward_input(1);
      weights();
      forward(1);
    }
    for (int i = 0; i < of_direction - shape_.stages + near + 1; ++i) {
      pair(0, 1);
      pair(1, 0);
    }
    for (int i = 0; i < outer; ++i) {
      backward(1);
      pair(1, 0);
    }
    for (int i = 0; i <= near; ++i) {
      const bool split = 2 * i >= near + 1;
      for (const int direction : {1, 0}) split ? backward_input(direction) : backward(direction);
    }
    for (int i = 0; i < outer; ++i) {
      weights();
      backward_input(0);
    }
    while (!pending_.empty()) weights();
    return std::move(order_);
  }

 private:
  // Micro-batches of the stream that enters at stage 0 are even, those of the other odd.
  StageTask task(StageWork work, int direction, int number) const {
    const bool swapped = stage_ >= shape_.stages / 2;
    const bool from_front = (direction == 0) != swapped;
    return {work, 2 * number + (from_front ? 0 : 1),
            from_front ? stage_ : shape_.stages - 1 - stage_};
  }
  void forward(int direction) {
    order_.push_back(task(StageWork::forward, direction, forward_[side(direction)]++));
  }
  void backward(int direction) {
    order_.push_back(task(StageWork::backward, direction, backward_[side(direction)]++));
  }
  void backward_input(int direction) {
    const StageTask made = task(StageWork::backward_input, direction, backward_[side(direction)]++);
    order_.push_back(made);
    pending_.push_back(made);
  }
  void weights() {
    if (pending_.empty()) return;
    StageTask made = pending_.front();
    pending_.pop_front();
    made.work = StageWork::backward_weight;
    order_.push_back(made);
  }
  void pair(int ahead, int back) {
    forward(ahead);
    backward(back);
    if (!shape_.overlap) return;
    StageTask& first = order_[order_.size() - 2];
    first.partner = order_.back().segment;
    order_.back().partner = first.segment;
  }
  static std::size_t side(int direction) { return static_cast<std::size_t>(direction); }

  const PipelineShape& shape_;
  int stage_;
  std::array<int, 2> forward_{}, backward_{};
  std::deque<StageTask> pending_;
  std::vector<StageTask> order_;
};

std::vector<std::vector<StageTask>> tasks(const PipelineShape& shape) {
  std::vector<std::vector<StageTask>> by_stage;
  by_stage.reserve(static_cast<std::size_t>(shape.stages));
  for (int stage = 0; stage < shape.stages; ++stage)
    by_stage.push_back(StageOrder(shape, stage).make());
  return by_stage;
}

void check(const PipelineShape& shape) {
  if (shape.stages % 2 != 0)
    throw InputError(
        fmt::format("pipeline: dualpipe needs an even number of stages, not {}", shape.stages));
  if (shape.virtual_stages != 1)
    throw InputError("virtual_stages: dualpipe has two segments a stage, no virtual stages");
  if (shape.micro_batches % 2 != 0 || shape.micro_batches < 2 * shape.stages)
    throw InputError(
        fmt::format("global_batch: dualpipe needs an even number of micro-batches, at "
                    "least two a stage ({}), not {}",
                    2 * shape.stages, shape.micro_batches));
}

const Registered<SchedulePart> registered{
    "dualpipe",
    "micro-batches from both ends, forward of one beside backward of the other",
    {segments, held, tasks, check, 2}};

}  // namespace
}  // namespace moesim
