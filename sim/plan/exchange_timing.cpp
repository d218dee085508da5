// Exchange constants from topologies/calibration/all_to_all.json, where each has its source, the
// records it was fitted on and its residual.
#include <algorithm>
#include <optional>

#include "sim/io/files.h"
#include "sim/io/json_reader.h"
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

ExchangeTiming read_timing(const JsonNode& node, const std::string& accelerator) {
  ExchangeTiming timing;
  timing.protocol = read_protocol(node);
  if (const auto second = node.find("second_protocol")) timing.second = read_protocol(*second);
  timing.per_expert = node.at("per_expert").as_seconds();
  timing.per_message = node.at("per_message").as_seconds();
  if (const auto rate = node.find("sm_rate")) {
    timing.sm_rate = rate->as_bytes_per_second();
    timing.sm_row_overhead = node.at("sm_row_overhead").as_bytes();
  }
  if (const auto rate = node.find("copy_rate")) timing.copy_rate = rate->as_bytes_per_second();
  if (const auto time = node.find("api_overhead")) timing.api_overhead = time->as_seconds();
  timing.basis = parse_basis(node.at("basis").as_string());
  const std::vector<JsonNode> measured = node.at("accelerators").items();
  const auto same = [&](const JsonNode& name) { return name.as_string() == accelerator; };
  if (std::none_of(measured.begin(), measured.end(), same))
    timing.basis = weaker(timing.basis, Basis::transferred);
  timing.source = node.at("source").as_string();
  return timing;
}

std::optional<JsonNode> own_entry(const TimingQuery& query, const char* reach) {
  if (query.calibration.empty()) return std::nullopt;
  const auto algorithm = read_json_file(query.calibration).at("algorithms").find(query.algorithm);
  const auto direction = algorithm ? algorithm->find(query.direction) : std::nullopt;
  return direction ? direction->find(reach) : std::nullopt;
}

}  // namespace

ExchangeTiming exchange_timing(const TimingQuery& query) {
  const char* reach = query.within_node ? "within_node" : "across_nodes";
  if (const auto own = own_entry(query, reach)) return read_timing(*own, query.accelerator);
  const JsonNode root = read_json_file(data_path("topologies/calibration/all_to_all.json"));
  const JsonNode directions = entry_of(root.at("algorithms"), query.algorithm, "all-to-all");
  const JsonNode reaches = entry_of(directions, query.direction, "direction");
  return read_timing(reaches.at(reach), query.accelerator);
}

}  // namespace moesim
