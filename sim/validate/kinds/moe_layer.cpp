// moe_layer: dispatch, both products of the experts and combine; or half of that, where experts are
// split over tensor-parallel ranks.
#include <fmt/format.h>

#include <algorithm>

#include "sim/validate/layer_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

struct Half {
  Seconds time{}, datasheet{};
};

Half half_of(const std::optional<RecordedExchange>& exchange,
             const std::vector<KernelWork>& works,
             const KernelTimer& timer,
             bool overlapped,
             Basis& basis) {
  const KernelCost cost = timer.sum(works);
  basis = weaker(basis, cost.basis);
  Half half{cost.time, timer.datasheet_time(works)};
  if (!exchange) return half;
  const RecordedDirection& direction = exchange->directions.front();
  const Seconds moving = direction.probe.time() + direction.extra;
  basis = weaker(basis, direction.basis);
  half.time = overlapped ? std::max(half.time, moving) : half.time + moving;
  half.datasheet += direction.probe.at_line_rate();
  return half;
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& calibration) {
  const JsonNode& typed = *record.typed;
  const Accelerator accelerator = load_accelerator(accelerator_file(typed.at("accelerator")));
  const KernelTimer timer(accelerator);
  timer.check_precision(weight_format(typed));
  auto outcome = read_layer_record(typed, timer, calibration);
  if (auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
  const auto& layer = std::get<RecordedLayer>(outcome);
  Prediction prediction;
  prediction.what = "moe_layer " + layer.part + (layer.overlapped ? " fused" : "");
  prediction.conditions = fmt::format(
      "{}, TP {} EP {}, {} tokens a rank, {} of {} experts, {} x {}, {}", machine_text(typed),
      int_of(typed, "tp", 1), int_of(typed, "ep", 1), int_of(typed, "tokens_per_rank", 1),
      int_of(typed, "top_k", 1), int_of(typed, "experts", 1), int_of(typed, "hidden", 1),
      int_of(typed, "intermediate", 1), typed.at("dtype").as_string());
  prediction.note = layer.note;
  prediction.basis = layer.note.empty() ? Basis::exact : Basis::transferred;
  for (const Half& half :
       {half_of(layer.before, layer.first, timer, layer.overlapped, prediction.basis),
        half_of(layer.after, layer.second, timer, layer.overlapped, prediction.basis)}) {
    prediction.predicted += half.time;
    prediction.at_line_rate += half.datasheet;
  }
  set_times(typed, layer.counted, prediction);
  return prediction;
}

const Registered<RecordKind> registered{
    "moe_layer", "dispatch, the experts and combine", {predict, {}}};

}  // namespace
}  // namespace moesim
