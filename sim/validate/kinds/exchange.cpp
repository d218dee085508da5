// exchange: dispatch, combine or both of an EP group, as benchmarks of exchange libraries time
// them.
#include <fmt/format.h>

#include "sim/validate/exchange_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

void add_directions(const RecordedExchange& read, Prediction& prediction) {
  for (const RecordedDirection& direction : read.directions) {
    prediction.predicted += direction.probe.time() + direction.extra;
    prediction.uniform += direction.probe.uniform() + direction.extra;
    prediction.at_line_rate += direction.probe.at_line_rate();
    prediction.basis = weaker(prediction.basis, direction.basis);
  }
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& calibration) {
  const JsonNode& typed = *record.typed;
  auto outcome = read_exchange_record(typed, calibration);
  if (auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
  const auto& read = std::get<RecordedExchange>(outcome);
  Prediction prediction;
  prediction.basis = Basis::exact;
  prediction.what = read.described.algorithm + " " + read.operation;
  prediction.conditions = fmt::format("{}, {} tokens a rank", machine_text(typed),
                                      read.described.routing.tokens_per_rank);
  if (!read.stands_in_for.empty()) {
    prediction.basis = Basis::transferred;
    prediction.note = read.described.algorithm + " stands in for " + read.stands_in_for;
  }
  if (read.operation == "prepare")
    prediction.predicted = prediction.uniform = prepare_time(read.described, prediction.basis);
  add_directions(read, prediction);
  prediction.measured = read.measured();
  prediction.unit = read.is_time ? "us" : "GB/s";
  prediction.value = read.is_time ? prediction.predicted.count() * 1e6
                                  : read.bytes() / prediction.predicted.count() / 1e9;
  return prediction;
}

// A record of one direction, whole: constants of two cannot be told apart by their sum, nor those
// of a dispatch from its prepare step's.
std::optional<FitSample> sample(const MeasurementRecord& record, const std::string& calibration) {
  auto outcome = read_exchange_record(*record.typed, calibration);
  const auto* read = std::get_if<RecordedExchange>(&outcome);
  if (!read || read->directions.size() != 1) return std::nullopt;
  const RecordedDirection& direction = read->directions.front();
  if (direction.extra < Seconds(0)) return std::nullopt;
  const ExchangeProbe& probe = direction.probe;
  FitSample made;
  made.query = probe.query();
  made.timing = probe.timing();
  made.measured = read->measured();
  made.predict = [probe, extra = direction.extra](const ExchangeTiming& timing) {
    return probe.time(timing) + extra;
  };
  return made;
}

const Registered<RecordKind> registered{
    "exchange", "dispatch and combine of an EP group", {predict, sample}};

}  // namespace
}  // namespace moesim
