// serving: tokens a second of a deployment, as one step of its pool; host and scheduler left out.
#include <algorithm>

#include "sim/cost/rank_costs.h"
#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/validate/serving_record.h"

namespace moesim {
namespace {

// No kernel and no exchange goes by without a basis; the weakest of all counts.
Basis weakest(const StepGraph& graph) {
  Basis basis = Basis::exact;
  for (const Task& task : graph.tasks) basis = weaker(basis, task.basis);
  return basis;
}

std::variant<Prediction, Unmapped> predict_step(const MeasurementRecord& record,
                                                const std::string& calibration) {
  const JsonNode& typed = *record.typed;
  auto outcome = read_serving_record(typed, calibration);
  if (auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
  const auto& serving = std::get<RecordedServing>(outcome);
  const RankCosts costs(serving.model, serving.cluster, serving.plan.parallelism,
                        serving.plan.precision);
  const StepGraph graph = build_step(
      {serving.model, serving.cluster, serving.plan, serving.trace, costs}, serving.batch);
  const Timeline timeline = replay(graph, serving.cluster, Fidelity::bound);
  check_step(graph, timeline, serving.cluster);
  const double step = timeline.makespan.count();
  Prediction prediction;
  prediction.what = "serving " + typed.at("phase").as_string();
  prediction.conditions = serving.conditions;
  prediction.note = serving.note;
  prediction.basis = weakest(graph);
  prediction.timed = false;
  if (typed.at("quantity").as_string() == "time") {
    double requests = 0;
    for (const auto& entries : serving.batch.by_rank)
      requests += static_cast<double>(entries.size());
    prediction.unit = "us";
    prediction.value = 1e6 * step * requests / static_cast<double>(graph.tokens);
  } else {
    prediction.unit = "tok/s/GPU";
    prediction.value = static_cast<double>(graph.tokens) / step / graph.ranks;
  }
  return prediction;
}

// A plan that cannot be here (an algorithm that does not take the EP group, a precision that the
// GPU lacks) is a reason, not an error of the file; what is wrong in the file itself names it.
std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& calibration) {
  try {
    return predict_step(record, calibration);
  } catch (const InputError& error) {
    const std::string reason = error.what();
    if (reason.find(record.typed->where().file) != std::string::npos) throw;
    return Unmapped{reason};
  }
}

const Registered<RecordKind> registered{
    "serving", "tokens a second of a prefill or decode pool", {predict, {}}};

}  // namespace
}  // namespace moesim
