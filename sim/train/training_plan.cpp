// Names and checks of training plans.
#include "sim/train/training_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/train/training_format.h"

namespace moesim {
namespace {

void refuse(const std::string& key, const std::string& message) {
  throw InputError(key + ": " + message);
}

void check_sizes(const TrainingPlan& plan) {
  if (plan.ranks % (plan.tensor * plan.pipeline) != 0)
    refuse("pipeline", fmt::format("{} stages of {} tensor-parallel ranks do not divide {} GPUs",
                                   plan.pipeline, plan.tensor, plan.ranks));
  if (plan.stage_ranks() % plan.expert != 0)
    refuse("expert_parallel", fmt::format("{} does not divide the {} GPUs of a stage", plan.expert,
                                          plan.stage_ranks()));
  const std::int64_t at_once = std::int64_t{plan.micro_batch} * plan.data();
  if (plan.global_batch % at_once != 0 || plan.global_batch < at_once)
    refuse("global_batch",
           fmt::format("{} sequences are no multiple of the {} that {} data-parallel ranks take at "
                       "once; nearest: {}",
                       plan.global_batch, at_once, plan.data(),
                       std::max(at_once, (plan.global_batch + at_once / 2) / at_once * at_once)));
}

}  // namespace

const std::vector<std::string>& recompute_names() {
  static const std::vector<std::string> names{"off", "selective", "full"};
  return names;
}

Recompute recompute_named(const std::string& name) {
  const auto& names = recompute_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError("unknown recomputation \"" + name + "\"" + name_help(name, names));
  return static_cast<Recompute>(found - names.begin());
}

void check_training(const TrainingPlan& plan,
                    const MoeModel& model,
                    const Accelerator& accelerator) {
  check_sizes(plan);
  if (model.experts % plan.expert != 0)
    refuse("expert_parallel",
           fmt::format("{} ranks cannot share {} experts evenly", plan.expert, model.experts));
  const std::size_t chunks =
      static_cast<std::size_t>(plan.pipeline) * static_cast<std::size_t>(plan.virtual_stages);
  if (chunks > model.layers.size())
    refuse("virtual_stages", fmt::format("{} stages x {} leave some of them without one of the {} "
                                         "layers",
                                         plan.pipeline, plan.virtual_stages, model.layers.size()));
  if (plan.mtp && model.mtp_layers.empty())
    refuse("mtp", model.name + " has no multi-token prediction module");
  const std::string needed = training_format(plan.precision).precision;
  if (accelerator.peak.count(needed) == 0)
    refuse("precision", "accelerator \"" + accelerator.name + "\" states no peak for " + needed +
                            ", which " + plan.precision + " computes in");
  if (plan.overlap && plan.micro_batches() < 2)
    refuse("overlap", "needs two micro-batches at least, one to hide behind the other");
}

}  // namespace moesim
