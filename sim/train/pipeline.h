// Contract of a pipeline schedule: one .cpp in sim/train/schedules/ that says in which order each
// stage works through its micro-batches; and the replay of such orders against the times of stages.
#pragma once

#include <functional>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/train/pass_time.h"

namespace moesim {

// A model is cut into segments, consecutive layers each; every micro-batch goes through all of
// them forward and back.
enum class StageWork { forward, backward, backward_input, backward_weight };

struct StageTask {
  StageWork work{};
  int micro_batch = 0, segment = 0;
  // The segment of another micro-batch on which the stage works in the other direction at the same
  // time: exchanges of both hide behind the computation of both. -1: none.
  int partner = -1;
};

struct PipelineShape {
  int stages = 1, virtual_stages = 1, micro_batches = 1;
  bool overlap = false;
};

struct SchedulePart {
  std::function<int(const PipelineShape&)> segments;
  // By stage, the segments it holds.
  std::function<std::vector<std::vector<int>>(const PipelineShape&)> held;
  // Tasks of each stage in order. Every micro-batch goes through every segment forward once, and
  // backward once, whole or in its two parts.
  std::function<std::vector<std::vector<StageTask>>(const PipelineShape&)> tasks;
  // InputError, with the key, for a shape that the schedule cannot take. May be empty.
  std::function<void(const PipelineShape&)> check;
  int copies = 1;  // stages that hold each segment
};

struct PipelineTimes {
  std::vector<LayerPasses> segments;
  Seconds send{};           // of a micro-batch's activations from stage to stage
  double interference = 1;  // slower computation while exchanges run beside it
  double slowdown = 1;      // slower exchanges while computation runs beside them
};

struct PipelineRun {
  Seconds end{};                            // of the last stage
  std::vector<Seconds> busy;                // by stage: at work, exposed exchanges included
  std::vector<Seconds> exchange;            // by stage: exposed exchanges
  std::vector<Seconds> first_forward;       // by stage: time of its first micro-batch's forward
  std::vector<Seconds> last_backward;       // by stage: time of its last micro-batch's backward
  Seconds hidden{};                         // exchanges that computation hides, mean over stages
  std::vector<std::vector<int>> in_flight;  // by stage and held segment: most micro-batches at once
};

// Every task starts when its stage is free and what it needs has arrived: forward needs the segment
// before, backward the segment after and its own forward, the weights' part its inputs' part.
// std::logic_error where tasks wait for each other for ever.
PipelineRun run_pipeline(const SchedulePart& schedule,
                         const PipelineShape& shape,
                         const PipelineTimes& times);

// A task and its partner: while computation C and exchanges X of both run beside each other, C
// advances by 1 / interference and X by 1 / slowdown a second, what is left of the longer alone.
// This is one's share: of the time C takes by its own computation, and of what sticks out by its
// exchange.
struct Visible {
  Seconds time{}, exposed{};
};
Visible visible_time(const PassTime& own,
                     const PassTime& partner,
                     double interference,
                     double slowdown = 1);

}  // namespace moesim
