// moesim train: one optimizer step of a training scenario.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "analysis/metrics/metric_json.h"
#include "cli/commands.h"
#include "cli/outside_option.h"
#include "sim/scenario/load_training.h"
#include "sim/train/training_step.h"

namespace moesim {
namespace {

double gigabytes(Bytes bytes) { return bytes.value / 1073741824.0; }

std::string share(double ratio) { return fmt::format("{:.1f} %", 100 * ratio); }

std::string band(const Metric& metric) {
  return fmt::format("{:.4g} {} ({:.4g} to {:.4g}, {})", metric.value, metric.unit, metric.low,
                     metric.high, to_text(metric.basis));
}

void print_stages(const TrainingStep& step) {
  fmt::print("\n{:>5} {:>6} {:>10} {:>10} {:>10} {:>10}   {:>8} {:>8} {:>9} {:>11} {:>8}\n",
             "stage", "layers", "busy", "exchange", "bubble", "sync", "weights", "grads",
             "optimizer", "activations", "all, GiB");
  for (std::size_t i = 0; i < step.stages.size(); ++i) {
    const TrainingStage& stage = step.stages[i];
    const TrainingMemory& memory = stage.memory;
    fmt::print(
        "{:>5} {:>6} {:>10} {:>10} {:>10} {:>10}   {:>8.1f} {:>8.1f} {:>9.1f} {:>11.1f} "
        "{:>8.1f}{}\n",
        i, stage.layers, to_text(stage.busy), to_text(stage.exchange), to_text(stage.idle),
        to_text(stage.sync), gigabytes(memory.weights), gigabytes(memory.gradients),
        gigabytes(memory.optimizer), gigabytes(memory.activations), gigabytes(memory.total()),
        stage.fits ? "" : "  does not fit");
  }
}

Metric throughput(const TrainingStep& step) {
  return metric_of(step.tokens_per_second_gpu, "tokens/s/GPU", step.basis);
}

void print_text(const TrainingScenario& scenario, const TrainingStep& step) {
  const TrainingPlan& plan = scenario.plan;
  if (!scenario.name.empty()) fmt::print("{}\n", scenario.name);
  fmt::print("{} on {} {}, {}: {} micro-batches of {} x {} tokens on each of {} DP ranks\n\n",
             scenario.model.name, plan.ranks, scenario.cluster.accelerator, plan.precision,
             plan.micro_batches(), plan.micro_batch, plan.sequence, plan.data());
  fmt::print("step            {}\n", band(metric_of(step.step.count(), "s", step.basis)));
  fmt::print("throughput      {}\n", band(throughput(step)));
  if (scenario.price.gpu_hour > 0)
    fmt::print("cost            {} a million tokens\n",
               band(cost_per_million_tokens(scenario.price, throughput(step))));
  fmt::print("model FLOPs     {}, {:.4g} GFLOP a token, MFU {}\n",
             band(metric_of(step.tflops_gpu, "TFLOP/s/GPU", step.basis)),
             step.flops_per_token.value * 1e-9, share(step.mfu));
  fmt::print("bubbles         {} of the step\n", share(step.bubble_share));
  fmt::print("exchanges       {} of the step; {} more hidden behind computation\n",
             share(step.exchange_share), to_text(step.hidden_exchange));
  fmt::print("gradient sync   {} exposed; optimizer {}\n", to_text(step.sync),
             to_text(step.optimizer));
  if (plan.capacity_factor > 0)
    fmt::print("dropped         {} of the copies\n", share(step.dropped));
  print_stages(step);
}

nlohmann::json stage_json(const TrainingStage& stage) {
  const TrainingMemory& memory = stage.memory;
  return {{"layers", stage.layers},
          {"busy_s", stage.busy.count()},
          {"exchange_s", stage.exchange.count()},
          {"bubble_s", stage.idle.count()},
          {"sync_s", stage.sync.count()},
          {"optimizer_s", stage.optimizer.count()},
          {"fits", stage.fits},
          {"memory_bytes",
           {{"weights", memory.weights.value},
            {"gradients", memory.gradients.value},
            {"optimizer", memory.optimizer.value},
            {"activations", memory.activations.value},
            {"exchange_buffers", memory.exchange_buffers.value},
            {"runtime", memory.runtime.value},
            {"total", memory.total().value}}}};
}

void print_json(const TrainingScenario& scenario, const TrainingStep& step) {
  nlohmann::json json;
  json["step"] = metric_json(metric_of(step.step.count(), "s", step.basis));
  json["throughput"] = metric_json(throughput(step));
  if (scenario.price.gpu_hour > 0)
    json["cost_per_million_tokens"] =
        metric_json(cost_per_million_tokens(scenario.price, throughput(step)));
  json["model_flops"] = metric_json(metric_of(step.tflops_gpu, "TFLOP/s/GPU", step.basis));
  json["mfu"] = metric_json(metric_of(step.mfu, "1", step.basis));
  json["flops_per_token"] = step.flops_per_token.value;
  json["bubble_share"] = step.bubble_share;
  json["exchange_share"] = step.exchange_share;
  json["hidden_exchange_s"] = step.hidden_exchange.count();
  json["sync_s"] = step.sync.count();
  json["optimizer_s"] = step.optimizer.count();
  json["dropped_share"] = step.dropped;
  for (const TrainingStage& stage : step.stages) json["stages"].push_back(stage_json(stage));
  fmt::print("{}\n", json.dump(2));
}

void add_train(CLI::App& command) {
  const auto path = std::make_shared<std::string>();
  const auto as_json = std::make_shared<bool>(false);
  const auto outside = std::make_shared<Outside>(Outside::refused);
  command.add_option("scenario", *path, "scenario file with workload.phase \"training\"")
      ->required();
  command.add_flag("--json", *as_json, "print JSON; seconds and bytes");
  command.footer("Example: moesim train scenarios/training/deepseek_v3.json");
  add_outside_option(command, *outside);
  command.callback([path, as_json, outside] {
    const TrainingScenario scenario = load_training(*path, *outside);
    const TrainingStep step = train_step(scenario.model, scenario.cluster, scenario.plan);
    *as_json ? print_json(scenario, step) : print_text(scenario, step);
  });
}

const Registered<Command> registered{
    "train", "Predict an optimizer step: throughput, MFU, bubbles and memory", {add_train}};

}  // namespace
}  // namespace moesim
