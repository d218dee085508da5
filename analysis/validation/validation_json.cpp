// The validation for programs.
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/validation/validation_report.h"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(double value) { return std::isnan(value) ? Json() : Json(value); }

Json summaries(const Validation& validation, SummaryBy by) {
  Json json = Json::array();
  for (const ErrorSummary& one : summarise(validation, by))
    json.push_back({{"name", one.name},
                    {"records", one.records},
                    {"median_error", one.median},
                    {"mean_error", one.mean},
                    {"worst_error", one.worst},
                    {"worst_record", one.worst_id},
                    {"line_rate_median_error", number_or_null(one.line_rate_median)},
                    {"uniform_median_error", number_or_null(one.uniform_median)}});
  return json;
}

Json record_json(const ValidatedRecord& one) {
  const Prediction& prediction = one.prediction;
  return {{"id", one.record.id},
          {"testbed", one.record.testbed},
          {"split", one.record.split},
          {"exchange", prediction.what},
          {"conditions", prediction.conditions},
          {"unit", prediction.unit},
          {"predicted", prediction.value},
          {"measured", one.record.typed->at("value").as_number()},
          {"error", one.error},
          {"line_rate_error", number_or_null(one.line_rate_error)},
          {"uniform_error", number_or_null(one.uniform_error)},
          {"basis", to_text(prediction.basis)},
          {"note", prediction.note},
          {"source", one.record.source}};
}

}  // namespace

std::string validation_json(const Validation& validation) {
  Json json{{"records_file", validation.records_file}};
  for (const auto& [name, by] :
       {std::pair{"all", SummaryBy::all}, std::pair{"by_exchange", SummaryBy::algorithm},
        std::pair{"by_testbed", SummaryBy::testbed},
        std::pair{"by_accelerator", SummaryBy::accelerator},
        std::pair{"by_split", SummaryBy::split}})
    json[name] = summaries(validation, by);
  json["records"] = Json::array();
  for (const ValidatedRecord& one : validation.records) json["records"].push_back(record_json(one));
  json["not_simulated"] = Json::array();
  for (const UnmappedRecord& one : validation.unmapped)
    json["not_simulated"].push_back({{"id", one.record.id}, {"reason", one.reason}});
  return json.dump(1) + "\n";
}

}  // namespace moesim
