// training: tokens a second, model FLOPs or time of one optimizer step.
#include <fmt/format.h>

#include <limits>

#include "sim/train/training_step.h"
#include "sim/validate/training_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

std::string conditions_text(const JsonNode& typed, const RecordedTraining& recorded) {
  const TrainingPlan& plan = recorded.plan;
  return fmt::format("{} on {}, {}, TP {} PP {} VP {} EP {}, micro-batch {} of {}, {} tokens{}",
                     recorded.model.name, machine_text(typed), plan.precision, plan.tensor,
                     plan.pipeline, plan.virtual_stages, plan.expert, plan.micro_batch,
                     plan.global_batch, plan.sequence,
                     plan.capacity_factor > 0 ? ", token drop" : "");
}

// The record's value as the time of a step.
Seconds measured(const JsonNode& typed, const TrainingStep& step) {
  const double value = typed.at("value").as_number();
  const std::string quantity = typed.at("quantity").as_string();
  if (quantity == "time") return Seconds(value * 1e-6);
  double predicted = step.tokens_per_second_gpu;
  if (quantity == "rate") predicted = step.tflops_gpu;
  if (quantity == "mfu") predicted = step.mfu;
  return step.step * (predicted / value);
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& calibration) {
  const JsonNode& typed = *record.typed;
  auto outcome = read_training_record(typed, calibration);
  if (const auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
  const auto& recorded = std::get<RecordedTraining>(outcome);
  const TrainingStep step = train_step(recorded.model, recorded.cluster, recorded.plan);
  Prediction prediction;
  prediction.what = "training " + recorded.plan.precision;
  prediction.conditions = conditions_text(typed, recorded);
  prediction.note = recorded.note;
  prediction.basis = step.basis;
  prediction.predicted = step.step;
  prediction.measured = measured(typed, step);
  // All model FLOPs at the datasheet's peak.
  prediction.at_line_rate = step.mfu * step.step;
  prediction.uniform = Seconds(std::numeric_limits<double>::quiet_NaN());
  const std::string quantity = typed.at("quantity").as_string();
  const double ratio = prediction.measured / prediction.predicted;
  const bool is_time = quantity == "time";
  prediction.unit = is_time                    ? "us"
                    : quantity == "throughput" ? "tokens/s/GPU"
                    : quantity == "rate"       ? "TFLOPS"
                                               : "of peak";
  prediction.value = is_time ? step.step.count() * 1e6 : typed.at("value").as_number() * ratio;
  return prediction;
}

const Registered<RecordKind> registered{
    "training", "tokens a second, FLOPs or time of an optimizer step", {predict, {}}};

}  // namespace
}  // namespace moesim
