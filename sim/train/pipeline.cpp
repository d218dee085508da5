// Replays the orders of a schedule.
#include "sim/train/pipeline.h"

#include <algorithm>
#include <stdexcept>

namespace moesim {
namespace {

class Replay {
 public:
  Replay(const SchedulePart& schedule, const PipelineShape& shape, const PipelineTimes& times)
      : times_(times),
        segments_(static_cast<std::size_t>(schedule.segments(shape))),
        micro_batches_(static_cast<std::size_t>(shape.micro_batches)),
        held_(schedule.held(shape)),
        tasks_(schedule.tasks(shape)),
        forward_(segments_ * micro_batches_, kNever),
        backward_(segments_ * micro_batches_, kNever),
        live_(tasks_.size()) {
    const std::size_t stages = tasks_.size();
    for (auto* one : {&run_.busy, &run_.exchange, &run_.first_forward, &run_.last_backward})
      one->assign(stages, Seconds(0));
    run_.in_flight.resize(stages);
    for (std::size_t stage = 0; stage < stages; ++stage) {
      live_[stage].assign(held_[stage].size(), 0);
      run_.in_flight[stage].assign(held_[stage].size(), 0);
    }
    free_.assign(stages, Seconds(0));
    next_.assign(stages, 0);
    stage_of_forward_.assign(segments_ * micro_batches_, -1);
    for (std::size_t stage = 0; stage < stages; ++stage)
      for (const StageTask& task : tasks_[stage])
        if (task.work == StageWork::forward)
          stage_of_forward_[at(task.micro_batch, task.segment)] = static_cast<int>(stage);
  }

  PipelineRun run() {
    std::size_t left = 0;
    for (const auto& of_stage : tasks_) left += of_stage.size();
    while (left > 0) {
      std::size_t before = left;
      for (std::size_t stage = 0; stage < tasks_.size(); ++stage)
        while (next_[stage] < tasks_[stage].size() && step(stage)) --left;
      if (left == before) throw std::logic_error("stages of a pipeline wait for each other");
    }
    run_.end = *std::max_element(free_.begin(), free_.end());
    run_.hidden /= static_cast<double>(tasks_.size());
    return std::move(run_);
  }

 private:
  static constexpr Seconds kNever{-1};
  std::size_t at(int micro_batch, int segment) const {
    return static_cast<std::size_t>(micro_batch) * segments_ + static_cast<std::size_t>(segment);
  }

  // When the output of `segment` for a micro-batch is there; kNever while it is not made.
  Seconds arrival(const std::vector<Seconds>& made, int micro_batch, int segment, int stage) const {
    const Seconds end = made[at(micro_batch, segment)];
    if (end == kNever) return kNever;
    const bool here = stage_of_forward_[at(micro_batch, segment)] == stage;
    return here ? end : end + times_.send;
  }

  Seconds ready(const StageTask& task, int stage) const {
    const int last = static_cast<int>(segments_) - 1;
    if (task.work == StageWork::forward)
      return task.segment == 0 ? Seconds(0)
                               : arrival(forward_, task.micro_batch, task.segment - 1, stage);
    const Seconds own = forward_[at(task.micro_batch, task.segment)];
    if (own == kNever || task.work == StageWork::backward_weight || task.segment == last)
      return own;
    const Seconds from = arrival(backward_, task.micro_batch, task.segment + 1, stage);
    return from == kNever ? kNever : std::max(own, from);
  }

  static PassTime part_of(const LayerPasses& time, StageWork work) {
    if (work == StageWork::forward) return time.forward;
    if (work == StageWork::backward_input) return time.backward_input;
    return work == StageWork::backward_weight ? time.backward_weight : time.backward();
  }

  Visible cost(const StageTask& task) const {
    const LayerPasses& time = times_.segments[static_cast<std::size_t>(task.segment)];
    const PassTime own = part_of(time, task.work);
    if (task.partner < 0 || task.work == StageWork::backward_weight)
      return {own.total(), own.exchange};
    const LayerPasses& other = times_.segments[static_cast<std::size_t>(task.partner)];
    const PassTime partner = task.work == StageWork::forward ? other.backward() : other.forward;
    return visible_time(own, partner, times_.interference, times_.slowdown);
  }

  void count_live(std::size_t stage, const StageTask& task) {
    const auto& held = held_[stage];
    const auto slot =
        static_cast<std::size_t>(std::find(held.begin(), held.end(), task.segment) - held.begin());
    int& live = live_[stage][slot];
    if (task.work == StageWork::forward) ++live;
    if (task.work == StageWork::backward || task.work == StageWork::backward_weight) --live;
    run_.in_flight[stage][slot] = std::max(run_.in_flight[stage][slot], live);
  }

  bool step(std::size_t stage) {
    const StageTask& task = tasks_[stage][next_[stage]];
    const Seconds ready_at = ready(task, static_cast<int>(stage));
    if (ready_at == kNever) return false;
    const Visible visible = cost(task);
    const Seconds end = std::max(free_[stage], ready_at) + visible.time;
    const std::size_t cell = at(task.micro_batch, task.segment);
    if (task.work == StageWork::forward) forward_[cell] = end;
    if (task.work == StageWork::backward || task.work == StageWork::backward_input)
      backward_[cell] = end;
    const LayerPasses& time = times_.segments[static_cast<std::size_t>(task.segment)];
    run_.hidden += part_of(time, task.work).exchange - visible.exposed;
    run_.busy[stage] += visible.time;
    run_.exchange[stage] += visible.exposed;
    if (task.work == StageWork::forward && task.micro_batch == 0)
      run_.first_forward[stage] += visible.time;
    if (task.work != StageWork::forward && task.micro_batch + 1 == static_cast<int>(micro_batches_))
      run_.last_backward[stage] += visible.time;
    count_live(stage, task);
    free_[stage] = end;
    ++next_[stage];
    return true;
  }

  const PipelineTimes& times_;
  std::size_t segments_, micro_batches_;
  std::vector<std::vector<int>> held_;
  std::vector<std::vector<StageTask>> tasks_;
  std::vector<Seconds> forward_, backward_;  // ends, by micro-batch and segment
  std::vector<std::vector<int>> live_;
  std::vector<Seconds> free_;
  std::vector<std::size_t> next_;
  std::vector<int> stage_of_forward_;
  PipelineRun run_;
};

}  // namespace

Visible visible_time(const PassTime& own,
                     const PassTime& partner,
                     double interference,
                     double slowdown) {
  const auto computing = [](const PassTime& pass) { return pass.compute + pass.tensor; };
  const Seconds compute = computing(own) + computing(partner);
  const Seconds exchange = own.exchange + partner.exchange;
  if (exchange == Seconds(0)) return {own.total(), Seconds(0)};
  // Beside each other until the first of both is through.
  const Seconds beside = std::min(interference * compute, slowdown * exchange);
  const Seconds slowed = compute + (1 - 1 / interference) * beside;
  const Seconds left = std::max(Seconds(0), exchange - beside / slowdown);
  const Seconds exposed = left * (own.exchange / exchange);
  const Seconds visible = compute > Seconds(0) ? slowed * (computing(own) / compute) : Seconds(0);
  return {visible + exposed, exposed};
}

PipelineRun run_pipeline(const SchedulePart& schedule,
                         const PipelineShape& shape,
                         const PipelineTimes& times) {
  return Replay(schedule, shape, times).run();
}

}  // namespace moesim
