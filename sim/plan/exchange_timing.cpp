// Exchange constants from topologies/calibration/all_to_all.json, where each has its source, the
// records it was fitted on and its residual.
#include <algorithm>
#include <optional>

#include "sim/io/files.h"
#include "sim/io/kept_json.h"
#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

JsonNode entry_of(const JsonNode& object, const std::string& key, const std::string& kind) {
  if (const auto found = object.find(key)) return *found;
  object.fail("no timing constants for " + kind + " \"" + key + "\"" +
              name_help(key, object.keys()));
}

ExchangeTiming::Protocol read_protocol(const JsonNode& node) {
  ExchangeTiming::Protocol protocol;
  protocol.fixed = node.at("fixed").as_seconds();
  // Across nodes both links have one, unless the record tells them apart.
  protocol.nic_efficiency = node.at("efficiency").as_ratio(0.001, 1);
  protocol.nvlink_efficiency = protocol.nic_efficiency;
  if (const auto nvlink = node.find("nvlink_efficiency"))
    protocol.nvlink_efficiency = nvlink->as_ratio(0.001, 1);
  return protocol;
}

bool lists(const JsonNode& accelerators, const std::string& accelerator) {
  const std::vector<JsonNode> names = accelerators.items();
  return std::any_of(names.begin(), names.end(),
                     [&](const JsonNode& name) { return name.as_string() == accelerator; });
}

// Protocols of the accelerator's family, where the entry tells families apart; else the entry's.
JsonNode protocols_of(const JsonNode& node, const std::string& accelerator) {
  if (const auto families = node.find("families"))
    for (const JsonNode& family : families->items())
      if (lists(family.at("accelerators"), accelerator)) return family;
  return node;
}

ExchangeTiming read_timing(const JsonNode& node, const std::string& accelerator) {
  ExchangeTiming timing;
  const JsonNode protocols = protocols_of(node, accelerator);
  timing.protocol = read_protocol(protocols);
  if (const auto second = protocols.find("second_protocol")) timing.second = read_protocol(*second);
  timing.per_expert = node.at("per_expert").as_seconds();
  timing.per_message = node.at("per_message").as_seconds();
  if (const auto time = node.find("per_token")) timing.per_token = time->as_seconds();
  if (const auto rate = node.find("sm_rate")) {
    timing.sm_rate = rate->as_bytes_per_second();
    timing.sm_row_overhead = node.at("sm_row_overhead").as_bytes();
  }
  if (const auto rate = node.find("copy_rate")) timing.copy_rate = rate->as_bytes_per_second();
  if (const auto times = node.find("slowdown")) timing.slowdown = times->as_ratio(1, 100);
  if (const auto time = node.find("api_overhead")) timing.api_overhead = time->as_seconds();
  timing.basis = parse_basis(node.at("basis").as_string());
  if (!lists(node.at("accelerators"), accelerator))
    timing.basis = weaker(timing.basis, Basis::transferred);
  timing.source = node.at("source").as_string();
  return timing;
}

// The constants in one file, or none.
std::optional<JsonNode> entry_in(const JsonNode& file,
                                 const TimingQuery& query,
                                 const std::string& direction) {
  const auto algorithm = file.at("algorithms").find(query.algorithm);
  const auto found = algorithm ? algorithm->find(direction) : std::nullopt;
  if (!found) return std::nullopt;
  if (query.within_node) return found->find("within_node");
  const auto posted = query.cpu_proxy ? found->find("across_nodes_cpu_proxy") : std::nullopt;
  return posted ? posted : found->find("across_nodes");
}

std::optional<JsonNode> own_entry(const TimingQuery& query, const std::string& direction) {
  if (query.calibration.empty()) return std::nullopt;
  return entry_in(kept_json_file(query.calibration), query, direction);
}

// What an algorithm does before it dispatches, where it has such a step.
void add_prepare(const TimingQuery& query, const JsonNode& project, ExchangeTiming& timing) {
  auto node = own_entry(query, "prepare");
  if (!node) node = entry_in(project, query, "prepare");
  if (!node) return;
  const ExchangeTiming prepare = read_timing(*node, query.accelerator);
  timing.protocol.fixed += prepare.protocol.fixed;
  timing.per_token += prepare.per_token;
  timing.basis = weaker(timing.basis, prepare.basis);
}

}  // namespace

ExchangeTiming exchange_timing(const TimingQuery& query) {
  const JsonNode project = kept_json_file(data_path("topologies/calibration/all_to_all.json"));
  auto node = own_entry(query, query.direction);
  if (!node) {
    const JsonNode directions = entry_of(project.at("algorithms"), query.algorithm, "all-to-all");
    entry_of(directions, query.direction, "direction");
    node = entry_in(project, query, query.direction);
  }
  if (!node) project.fail("no timing constants for " + query.algorithm + " across nodes");
  ExchangeTiming timing = read_timing(*node, query.accelerator);
  if (query.direction == "dispatch" && query.with_prepare) add_prepare(query, project, timing);
  return timing;
}

void check_calibration(const std::string& path) {
  const JsonNode algorithms = kept_json_file(path).at("algorithms");
  const JsonNode known =
      kept_json_file(data_path("topologies/calibration/all_to_all.json")).at("algorithms");
  algorithms.allow_only(known.keys());
  for (const std::string& algorithm : algorithms.keys()) {
    const JsonNode directions = algorithms.at(algorithm);
    directions.allow_only(known.at(algorithm).keys());
    for (const std::string& direction : directions.keys()) {
      const JsonNode reaches = directions.at(direction);
      reaches.allow_only({"within_node", "across_nodes", "across_nodes_cpu_proxy"});
      for (const std::string& reach : reaches.keys()) read_timing(reaches.at(reach), "");
    }
  }
}

}  // namespace moesim
