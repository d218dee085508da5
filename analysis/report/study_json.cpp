// The study's tables for programs: what the summary says, as one JSON object.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/analysis.h"
#include "analysis/compare/comparison.h"
#include "analysis/compare/objective_text.h"
#include "analysis/compare/repeats.h"
#include "analysis/metrics/metric_json.h"
#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json object_of(const std::vector<std::pair<std::string, Value>>& pairs) {
  Json object = Json::object();
  for (const auto& [name, value] : pairs) object[name] = value;
  return object;
}

Json memory_of(const MemoryResult& memory) {
  return {{"fits", memory.fits},
          {"worst_rank", memory.worst_rank},
          {"headroom_bytes", memory.headroom},
          {"capacity_bytes", memory.capacity},
          {"verdict", memory.verdict}};
}

Json point_json(const PointResult& point) {
  Json json{{"label", point.label},
            {"key", point.key},
            {"scenario", point.scenario_name},
            {"values", object_of(point.varied)},
            {"model", point.model},
            {"routed_by", point.routed_by},
            {"cluster", point.cluster},
            {"fidelity", point.fidelity},
            {"phase", point.phase},
            {"ranks", point.ranks},
            {"steps", point.steps},
            {"seed", point.seed},
            {"ran", point.ran},
            {"metrics", Json::object()}};
  for (const NamedMetric& named : point.metrics)
    json["metrics"][named.name] = metric_json(named.metric);
  json["breakdown_seconds"] = object_of(point.breakdown);
  if (point.straggler >= 0)
    json["straggler"] = {{"rank", point.straggler}, {"cause", point.straggler_cause}};
  json["memory"] = memory_of(point.memory);
  if (const BottleneckResult* worst = worst_bottleneck(point))
    json["bottleneck"] = {{"layer", worst->layer},
                          {"exchange", worst->kind},
                          {"link", worst->link},
                          {"busy_seconds", worst->busy},
                          {"words", worst->words}};
  json["fidelities"] = Json::array();
  for (const FidelityResult& used : point.fidelities) json["fidelities"].push_back(used.words);
  const auto passed = std::count_if(point.checks.begin(), point.checks.end(),
                                    [](const CheckResult& check) { return check.passed; });
  json["checks"] = {{"passed", passed}, {"all", point.checks.size()}};
  json["notes"] = point.notes;
  json["inputs"] = object_of(point.inputs);
  return json;
}

Json comparison_json(const StudyResult& study, const Comparison& comparison) {
  return {{"better", study.points[comparison.better].label},
          {"other", study.points[comparison.other].label},
          {"ratio", comparison.ratio},
          {"by", comparison.by_throughput ? "tokens_per_second_per_gpu" : "step_time"},
          {"bands_overlap", comparison.bands_overlap},
          {"words", comparison_text(study, comparison)},
          {"certainty", certainty_text(study, comparison)}};
}

Json repeats_json(const Repeats& repeats) {
  Json json{{"label", repeats.label}, {"metrics", Json::object()}};
  for (const Spread& spread : repeats.spreads)
    json["metrics"][spread.name] = {{"unit", spread.unit},
                                    {"seeds", spread.count},
                                    {"mean", spread.mean},
                                    {"low", spread.low()},
                                    {"high", spread.high()}};
  return json;
}

}  // namespace

std::string study_json(const StudyResult& study) {
  Json json{{"name", study.name},
            {"weakest_basis", to_text(weakest_basis(study))},
            {"points", Json::array()},
            {"comparisons", Json::array()},
            {"repeats", Json::array()}};
  for (const PointResult& point : study.points) json["points"].push_back(point_json(point));
  const StudyResult means = mean_of_repeats(study);
  for (const Comparison& comparison : compare_points(means))
    json["comparisons"].push_back(comparison_json(means, comparison));
  for (const Repeats& repeats : find_repeats(study))
    json["repeats"].push_back(repeats_json(repeats));
  if (const std::string words = objective_text(means); !words.empty()) json["objective"] = words;
  return json.dump(1) + "\n";
}

}  // namespace moesim
