// Sizes by the types that will hold them.
#include "sim/scenario/check_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace moesim {
namespace {

JsonNode key_or(const JsonNode& node, const char* key) {
  const auto found = node.find(key);
  return found ? *found : node;
}

void refuse_above(const JsonNode& node, Bytes bytes, const std::string& what) {
  if (bytes.value > kMostBytes.value)
    node.fail(
        fmt::format("{} would take {}; at most {}", what, to_text(bytes), to_text(kMostBytes)));
}

// As the columns of a trace are (sim/trace/routing_trace.h): an expert's number is 2 bytes;
// request, position and step are 4 each, domain and phase 1.
void check_synthetic(const JsonNode& node, const SyntheticSource& source) {
  const double each = 2.0 * static_cast<double>(source.layer_ids.size()) * source.top_k + 3 * 4 + 2;
  refuse_above(key_or(node, "tokens"), Bytes(each * static_cast<double>(source.tokens)),
               fmt::format("a trace of {} tokens, {} MoE layers and top-{}", source.tokens,
                           source.layer_ids.size(), source.top_k));
}

void check_batches(const JsonNode& node, const Scenario& scenario) {
  const WorkloadSpec& workload = scenario.workload;
  const double steps = static_cast<double>(workload.steps) * std::max(1, workload.windows);
  const double tokens = steps * scenario.plan.parallelism.data() * workload.tokens_per_rank;
  const bool decode = workload.phase == Phase::decode;
  const double each = sizeof(std::uint32_t) + (decode ? sizeof(BatchEntry) : 0);
  refuse_above(
      key_or(node, decode ? "requests_per_rank" : "tokens_per_rank"), Bytes(each * tokens),
      fmt::format("the batches of {:.0f} steps ({} windows) on {} DP ranks with {} tokens each",
                  steps, std::max(1, workload.windows), scenario.plan.parallelism.data(),
                  workload.tokens_per_rank));
}

}  // namespace

void check_sizes(const JsonNode& root, const Scenario& scenario) {
  const JsonNode workload = root.at("workload");
  if (const auto synthetic = workload.at("trace").find("synthetic"))
    check_synthetic(*synthetic, scenario.trace.synthetic);
  check_batches(workload, scenario);
}

void check_ranks(const JsonNode& node, std::int64_t ranks) {
  if (ranks <= kMostRanks) return;
  const auto bytes = [](double count) { return Bytes(kBytesPerPair.value * count * count); };
  node.fail(fmt::format(
      "asks for {} GPUs, whose paths and token copies, pair by pair, would take {}; at most {}, {}",
      ranks, to_text(bytes(static_cast<double>(ranks))), kMostRanks,
      to_text(bytes(static_cast<double>(kMostRanks)))));
}

void check_points(
    const JsonNode& node, const JsonNode& root, double steps, double before, double most) {
  const double points = steps * before;
  if (points <= most) return;
  const double each = sizeof(StudyPoint) + static_cast<double>(root.json().dump().size());
  node.fail(fmt::format(
      "spans {:.0f} points ({:.0f} here times {:.0f} of the axes before), whose scenarios would "
      "take "
      "{}; at most {:.0f} points, {}",
      points, steps, before, to_text(Bytes(each * points)), most, to_text(Bytes(each * most))));
}

}  // namespace moesim
