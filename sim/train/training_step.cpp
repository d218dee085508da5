// Puts a step together.
#include "sim/train/training_step.h"

#include <algorithm>
#include <numeric>

#include "sim/train/group_cluster.h"
#include "sim/train/model_flops.h"
#include "sim/train/pipeline.h"
#include "sim/train/training_format.h"

namespace moesim {
namespace {

// Adam: gradient, master weight and both moments are read, the latter three written, and the new
// weight beside them.
constexpr double kOptimizerTraffic = 4 + 3 * (4 + 4) + 2;

struct Stage {
  std::vector<LayerSegment> held;
  RankParameters parameters;
};

// Ranks with the same weights, over all stages that hold them.
struct Replicas {
  int dense = 1, experts = 1;
};

std::vector<Stage> stages_of(const MoeModel& model,
                             const TrainingPlan& plan,
                             const std::vector<LayerSegment>& segments,
                             const std::vector<std::vector<int>>& held) {
  std::vector<Stage> stages;
  for (const std::vector<int>& numbers : held) {
    Stage stage;
    for (const int number : numbers)
      stage.held.push_back(segments[static_cast<std::size_t>(number)]);
    stage.parameters = rank_parameters(model, plan, stage.held);
    stages.push_back(std::move(stage));
  }
  return stages;
}

// What is left of a collective of both kinds of weights after `beside` has run beside it.
Seconds left_over(const ClusterSpec& cluster,
                  const TrainingPlan& plan,
                  const RankParameters& parameters,
                  const Replicas& replicas,
                  const char* direction,
                  Seconds beside) {
  const double bytes = direction[0] == 'r' ? kGradientBytes : kWeightBytes;
  const auto dense = strided_collective(cluster, {replicas.dense, plan.tensor},
                                        Bytes(bytes * parameters.dense), direction);
  const auto experts = strided_collective(cluster, {replicas.experts, plan.expert},
                                          Bytes(bytes * parameters.experts), direction);
  return std::max(Seconds(0), dense.time + experts.time - beside);
}

Seconds optimizer_time(const Accelerator& accelerator,
                       const Replicas& replicas,
                       const RankParameters& parameters) {
  const double weights = parameters.dense / replicas.dense + parameters.experts / replicas.experts;
  const KernelTimer timer(accelerator);
  return timer.time({"elementwise", Flops(0), Bytes(kOptimizerTraffic * weights), "bf16"}).time;
}

double mean(const std::vector<Seconds>& times) {
  return std::accumulate(times.begin(), times.end(), Seconds(0)).count() /
         static_cast<double>(times.size());
}

void take_throughput(const MoeModel& model,
                     const TrainingPlan& plan,
                     const Accelerator& accelerator,
                     TrainingStep& step) {
  const double tokens = 1.0 * plan.global_batch * plan.sequence;
  step.tokens_per_second_gpu = tokens / step.step.count() / plan.ranks;
  step.flops_per_token = model_flops_per_token(model, plan.sequence, plan.mtp);
  const double rate = step.tokens_per_second_gpu * step.flops_per_token.value;
  step.tflops_gpu = rate * 1e-12;
  step.mfu = rate / accelerator.peak.at(training_format(plan.precision).precision).value;
}

}  // namespace

bool TrainingStep::fits() const {
  return std::all_of(stages.begin(), stages.end(),
                     [](const TrainingStage& stage) { return stage.fits; });
}

TrainingStep train_step(const MoeModel& model,
                        const ClusterSpec& cluster,
                        const TrainingPlan& plan) {
  const Accelerator accelerator = load_accelerator(cluster.accelerator);
  check_training(plan, model, accelerator);
  const SchedulePart& schedule =
      Catalog<SchedulePart>::instance().at(plan.schedule, "training schedule");
  const PipelineShape shape{plan.pipeline, plan.virtual_stages, plan.micro_batches(), plan.overlap};
  if (schedule.check) schedule.check(shape);
  const LayerTimes times(model, cluster, plan);
  const std::vector<LayerSegment> segments =
      cut_segments(model, plan, times, static_cast<std::size_t>(schedule.segments(shape)));
  PipelineTimes pipeline;
  for (const LayerSegment& segment : segments) pipeline.segments.push_back(segment.time);
  const double sent = static_cast<double>(plan.rank_tokens() * model.hidden) * kWeightBytes;
  if (plan.pipeline > 1) pipeline.send = send_time(cluster, plan.stage_ranks(), Bytes(sent)).time;
  pipeline.interference = times.interference();
  pipeline.slowdown = times.routing().slowdown;
  const PipelineRun run = run_pipeline(schedule, shape, pipeline);
  const std::vector<Stage> stages = stages_of(model, plan, segments, schedule.held(shape));

  TrainingStep step;
  step.pipeline = run.end;
  step.hidden_exchange = run.hidden;
  step.dropped = times.routing().dropped;
  step.basis = times.basis();
  const double routed =
      std::accumulate(times.routing().rows.begin(), times.routing().rows.end(), 0.0) /
      static_cast<double>(plan.rank_tokens());
  const Replicas replicas{schedule.copies * plan.data(), schedule.copies * plan.expert_data()};
  Seconds longest{};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    TrainingStage stage;
    for (const LayerSegment& segment : stages[i].held)
      stage.layers += static_cast<int>(segment.last - segment.first);
    stage.busy = run.busy[i];
    stage.exchange = run.exchange[i];
    stage.idle = run.end - run.busy[i];
    const RankParameters& parameters = stages[i].parameters;
    stage.sync =
        left_over(cluster, plan, parameters, replicas, "reduce_scatter", run.last_backward[i]) +
        left_over(cluster, plan, parameters, replicas, "all_gather", run.first_forward[i]);
    stage.optimizer = optimizer_time(accelerator, replicas, parameters);
    stage.memory = training_memory(model, plan, accelerator,
                                   {stages[i].held, run.in_flight[i], routed, schedule.copies});
    stage.fits = stage.memory.total() <= accelerator.memory;
    if (stage.sync + stage.optimizer > longest) {
      longest = stage.sync + stage.optimizer;
      step.sync = stage.sync;
      step.optimizer = stage.optimizer;
    }
    step.stages.push_back(stage);
  }
  step.step = run.end + longest;
  step.bubble_share = (run.end.count() - mean(run.busy)) / step.step.count();
  step.exchange_share = mean(run.exchange) / step.step.count();
  take_throughput(model, plan, accelerator, step);
  return step;
}

}  // namespace moesim
