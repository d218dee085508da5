// Reads a cluster and builds it once, to know that it can be.
#include "sim/scenario/load_cluster.h"

#include "sim/cost/kernel_table.h"
#include "sim/plan/all_to_all.h"
#include "sim/scenario/at_place.h"
#include "sim/scenario/check_sizes.h"

namespace moesim {
namespace {

// A topology refuses an option by its key: that key's place, where this file has it.
void check_fabric(const JsonNode& node, const ClusterSpec& spec) {
  try {
    build_cluster(spec);
  } catch (const InputError& error) {
    const std::string text = error.what(), prefix = "cluster.";
    const std::size_t end = text.find(": ");
    if (!text.starts_with(prefix) || end == std::string::npos) throw;
    const auto key = node.find(text.substr(prefix.size(), end - prefix.size()));
    (key ? *key : node).fail(key ? text.substr(end + 2) : text);
  }
}

}  // namespace

ClusterSpec read_cluster(const JsonNode& node) {
  std::vector<std::string> keys = cluster_keys();
  keys.insert(keys.begin(), {"preset", "price_per_gpu_hour"});
  node.allow_only(keys);
  ClusterSpec spec;
  if (const auto preset = node.find("preset")) {
    spec = at_place(*preset, [&] { return load_cluster_preset(*preset); });
  }
  read_cluster_keys(node, spec);
  if (spec.accelerator.empty()) node.fail("needs a \"preset\" or an \"accelerator\"");
  if (spec.topology.empty()) node.fail("needs a \"preset\" or a \"topology\"");
  const std::int64_t ranks = std::int64_t{spec.options.nodes} * spec.options.gpus_per_node;
  check_ranks(node, ranks);
  check_fabric(node, spec);
  if (!spec.calibration.empty()) {
    const auto calibration = node.find("calibration");
    at_place(calibration ? *calibration : node, [&] {
      check_calibration(spec.calibration);
      return 0;
    });
  }
  if (!spec.kernel_table.empty()) {
    const auto table = node.find("kernel_table");
    at_place(table ? *table : node, [&] { return load_kernel_table(spec.kernel_table); });
  }
  return spec;
}

}  // namespace moesim
