// Exchange constants from topologies/calibration/all_to_all.json, where each has its source, the
// records it was fitted on and its residual.
#include <algorithm>

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

}  // namespace

ExchangeTiming exchange_timing(const std::string& algorithm,
                               const std::string& direction,
                               bool within_node,
                               const std::string& accelerator) {
  const JsonNode root = read_json_file(data_path("topologies/calibration/all_to_all.json"));
  const JsonNode directions = entry_of(root.at("algorithms"), algorithm, "all-to-all");
  const JsonNode reaches = entry_of(directions, direction, "direction");
  const JsonNode constants = reaches.at(within_node ? "within_node" : "across_nodes");
  ExchangeTiming timing;
  timing.fixed = constants.at("fixed").as_seconds();
  timing.per_expert = constants.at("per_expert").as_seconds();
  timing.per_message = constants.at("per_message").as_seconds();
  // Across nodes both links have one, unless the record tells them apart.
  timing.nic_efficiency = constants.at("efficiency").as_ratio(0.01, 1);
  timing.nvlink_efficiency = timing.nic_efficiency;
  if (const auto nvlink = constants.find("nvlink_efficiency"))
    timing.nvlink_efficiency = nvlink->as_ratio(0.01, 1);
  timing.basis = parse_basis(constants.at("basis").as_string());
  const std::vector<JsonNode> measured = constants.at("accelerators").items();
  const auto same = [&](const JsonNode& name) { return name.as_string() == accelerator; };
  if (std::none_of(measured.begin(), measured.end(), same))
    timing.basis = weaker(timing.basis, Basis::transferred);
  timing.source = constants.at("source").as_string();
  return timing;
}

}  // namespace moesim
