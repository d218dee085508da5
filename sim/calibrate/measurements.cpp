// Figures of logs become typed records, so that logs and published records are simulated alike.
#include "sim/calibrate/measurements.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace moesim {
namespace {

constexpr double kDisagreement = 0.3;

using Json = nlohmann::ordered_json;

void put(Json& typed, const char* key, const std::string& text) {
  typed[key] = text.empty() ? Json(nullptr) : Json(text);
}
void put(Json& typed, const char* key, double number) {
  typed[key] = number > 0 ? Json(number) : Json(nullptr);
}
void put(Json& typed, const char* key, int number) {
  typed[key] = number > 0 ? Json(number) : Json(nullptr);
}

// Where the transport is not stated: posted by GPUs across domains, but by what the cluster has on
// EFA.
std::string transport_of(const LogConditions& conditions) {
  if (!conditions.transport.empty() || conditions.ranks <= conditions.gpus_per_node)
    return conditions.transport;
  return conditions.scale_out == "efa" ? "" : "nvlink+ibgda";
}

double spread_of(const std::vector<double>& by_rank) {
  if (by_rank.size() < 2) return 0;
  const auto [least, most] = std::minmax_element(by_rank.begin(), by_rank.end());
  const double mean =
      std::accumulate(by_rank.begin(), by_rank.end(), 0.0) / static_cast<double>(by_rank.size());
  return (*most - *least) / mean;
}

std::string name_of(const LoggedFigure& figure) {
  return fmt::format("{}:{} {}", figure.where.file, figure.where.line,
                     figure.operation.empty() ? figure.algorithm : figure.operation);
}

const RecordKind* kind_of(const std::string& name) {
  const auto& kinds = Catalog<RecordKind>::instance().entries();
  const auto found = kinds.find(name);
  return found == kinds.end() || !found->second.part.sample ? nullptr : &found->second.part;
}

bool usable(const std::optional<FitSample>& sample) {
  return sample && sample->measured.count() > 0 && std::isfinite(sample->measured.count());
}

// Mistakes are found in the record made of the figure, but are the log's or an option's.
std::optional<FitSample> sample_of(const LoggedFigure& figure, const MeasurementRecord& record) {
  const LogConditions& conditions = figure.conditions;
  if (conditions.ranks > conditions.gpus_per_node && conditions.scale_out == "none")
    throw InputError(figure.where, fmt::format("{} ranks on nodes of {} (--gpus-per-node) cross "
                                               "nodes: give --scale-out",
                                               conditions.ranks, conditions.gpus_per_node));
  try {
    const RecordKind* kind = kind_of(figure.kind);
    auto sample = kind ? kind->sample(record, "") : std::nullopt;
    return usable(sample) ? std::move(sample) : std::nullopt;
  } catch (const InputError& error) {
    throw InputError(figure.where, std::string("the conditions do not fit (--accelerator, --ranks, "
                                               "--gpus-per-node, ...): ") +
                                       error.what());
  }
}

void add_figure(const LoggedFigure& figure, MeasurementSet& set) {
  const std::string name = name_of(figure);
  MeasurementRecord record;
  record.id = name;
  record.typed = read_json_text(typed_text(figure), figure.where.file);
  auto sample = sample_of(figure, record);
  if (!sample) {
    set.notes.push_back(name + ": no constants can be fitted on this figure; left out");
    return;
  }
  const double spread = spread_of(figure.by_rank);
  if (spread > kDisagreement) {
    const auto [least, most] = std::minmax_element(figure.by_rank.begin(), figure.by_rank.end());
    set.notes.push_back(fmt::format(
        "{}: ranks disagree, {:.4g} to {:.4g} {}: the figure counts little; look for a slow rank, "
        "a busy network or ranks that wait for each other",
        name, *least, *most, figure.quantity == "time" ? "us" : "GB/s"));
  }
  set.measurements.push_back({name, std::move(*sample), spread});
}

}  // namespace

std::string typed_text(const LoggedFigure& figure) {
  const LogConditions& conditions = figure.conditions;
  Json typed;
  typed["kind"] = figure.kind;
  typed["quantity"] = figure.quantity;
  typed["value"] = figure.value;
  typed["accelerator"] = conditions.accelerator;
  put(typed, "ranks", conditions.ranks);
  put(typed, "gpus_per_node", conditions.gpus_per_node);
  put(typed, "scale_up_domain", std::min(conditions.ranks, conditions.gpus_per_node));
  put(typed, "scale_out", conditions.scale_out);
  put(typed, "scale_out_bandwidth_gbs", conditions.scale_out_bandwidth_gbs);
  put(typed, "transport", transport_of(conditions));
  put(typed, "algorithm", figure.algorithm);
  put(typed, "mode", figure.mode);
  put(typed, "operation", figure.operation);
  put(typed, "reported_link", figure.reported_link);
  put(typed, "tokens_per_rank", conditions.tokens_per_rank);
  put(typed, "hidden", conditions.hidden);
  put(typed, "top_k", conditions.top_k);
  put(typed, "experts", conditions.experts);
  put(typed, "groups_limit", conditions.groups_limit);
  typed["routing"] = "uniform";
  put(typed, "dispatch_dtype", figure.dispatch_dtype);
  put(typed, "combine_dtype", figure.combine_dtype);
  put(typed, "dtype", figure.dtype);
  put(typed, "sms", conditions.sms);
  put(typed, "message_bytes", figure.message_bytes);
  typed["timing"] = "kernel";
  return typed.dump();
}

MeasurementSet measurements_of_logs(const std::vector<std::string>& paths,
                                    const LogConditions& given) {
  MeasurementSet set;
  for (const std::string& path : paths) {
    const BenchmarkLog log = read_log(path, given);
    for (const std::string& note : log.notes)
      set.notes.push_back(fmt::format("{}: {}", path, note));
    for (const LoggedFigure& figure : log.figures) add_figure(figure, set);
  }
  if (set.measurements.empty())
    throw InputError("the logs hold no figure that constants can be fitted on");
  return set;
}

MeasurementSet measurements_of_records(const std::string& path, const std::string& accelerator) {
  MeasurementSet set;
  for (const MeasurementRecord& record : read_records(path)) {
    if (!record.typed || record.split != "calibrate") continue;
    const auto of = record.typed->find("accelerator");
    if (!accelerator.empty() && (!of || of->as_string() != accelerator)) continue;
    const RecordKind* kind = kind_of(record.typed->at("kind").as_string());
    auto sample = kind ? kind->sample(record, "") : std::nullopt;
    if (usable(sample)) set.measurements.push_back({record.id, std::move(*sample), 0});
  }
  if (set.measurements.empty())
    throw InputError(path + ": no record of split \"calibrate\" that constants can be fitted on");
  return set;
}

}  // namespace moesim
