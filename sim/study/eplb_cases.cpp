// Case after case: read, compute, compare.
#include "sim/study/eplb_cases.h"

#include <fmt/format.h>

#include "sim/io/json_reader.h"
#include "sim/plan/placement/check_input.h"
#include "sim/plan/placement/eplb.h"
#include "sim/scenario/at_place.h"

namespace moesim {
namespace {

constexpr std::int64_t kMost = 1 << 20;

std::vector<JsonNode> items_of(const JsonNode& node, std::size_t wanted, const char* what) {
  std::vector<JsonNode> items = node.items();
  if (items.size() != wanted)
    node.fail(
        fmt::format("has {} items, allowed: {}, one for each {}", items.size(), wanted, what));
  return items;
}

std::vector<std::vector<double>> read_weight(const JsonNode& node) {
  std::vector<std::vector<double>> weight;
  for (const JsonNode& layer : node.items()) {
    weight.emplace_back();
    for (const JsonNode& value : layer.items()) weight.back().push_back(value.as_number());
    if (weight.back().empty() || weight.back().size() != weight.front().size())
      layer.fail(fmt::format("has {} experts, the first layer {}", weight.back().size(),
                             weight.front().size()));
  }
  if (weight.empty()) node.fail("needs at least one layer, [layer][expert]");
  return weight;
}

PlacementInput read_input(const JsonNode& one) {
  PlacementInput input;
  input.load = read_weight(one.at("weight"));
  const auto count = [&](const char* key) {
    return static_cast<int>(one.at(key).as_int(1, kMost));
  };
  input.slots = count("num_replicas");
  input.ranks = count("num_gpus");
  input.nodes = count("num_nodes");
  input.groups = count("num_groups");
  at_place(one, [&] {
    check_input(input, {"num_replicas", "num_gpus", "num_nodes", "num_groups"});
    return 0;
  });
  return input;
}

// Compares integers one by one with a row of the answer; the first difference goes into `found`.
class Comparison {
 public:
  void row(const JsonNode& answer, const std::vector<int>& own, const char* what) {
    const std::vector<JsonNode> expected = items_of(answer, own.size(), what);
    for (std::size_t i = 0; i < own.size(); ++i) {
      const std::int64_t wanted = expected[i].as_int(-1, kMost);
      if (found_.empty() && wanted != own[i])
        found_ = fmt::format("{} is {}, here {}", expected[i].where().key, wanted, own[i]);
    }
  }
  const std::string& found() const { return found_; }

 private:
  std::string found_;
};

// The replicas of an expert as the original's table has them: filled up with -1.
std::vector<int> padded(std::vector<int> slots, const JsonNode& answer) {
  const std::size_t width = answer.items().size();
  if (width < slots.size())
    answer.fail(
        fmt::format("has room for {} replicas, but the expert has {}", width, slots.size()));
  slots.resize(width, -1);
  return slots;
}

std::string first_difference(const JsonNode& one, const PlacementInput& input) {
  const std::vector<EplbLayer> layers = eplb(input);
  const auto slots = items_of(one.at("phy2log_stable"), layers.size(), "layer");
  const auto counts = items_of(one.at("logcnt_stable"), layers.size(), "layer");
  const auto experts = items_of(one.at("log2phy_stable"), layers.size(), "layer");
  Comparison comparison;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const EplbLayer& own = layers[layer];
    comparison.row(slots[layer], own.expert_of_slot, "slot");
    std::vector<int> replicas;
    for (const auto& of_expert : own.slots_of_expert)
      replicas.push_back(static_cast<int>(of_expert.size()));
    comparison.row(counts[layer], replicas, "expert");
    if (!comparison.found().empty()) return comparison.found();
    const auto rows = items_of(experts[layer], own.slots_of_expert.size(), "expert");
    for (std::size_t expert = 0; expert < rows.size(); ++expert)
      comparison.row(rows[expert], padded(own.slots_of_expert[expert], rows[expert]), "replica");
  }
  return comparison.found();
}

}  // namespace

std::vector<EplbCaseResult> check_eplb_cases(const std::string& path) {
  const JsonNode file = read_json_file(path);
  const JsonNode cases = file.at("cases");
  std::vector<EplbCaseResult> results;
  for (const JsonNode& one : cases.items()) {
    const PlacementInput input = read_input(one);
    const bool hierarchical = input.groups % input.nodes == 0;
    EplbCaseResult result;
    result.name =
        fmt::format("case {}, {}: {} x {} -> {} slots on {} GPUs in {} nodes", results.size(),
                    hierarchical ? "hierarchical" : "global", input.load.size(),
                    input.load.front().size(), input.slots, input.ranks, input.nodes);
    result.difference = at_place(one, [&] { return first_difference(one, input); });
    results.push_back(std::move(result));
  }
  if (results.empty()) cases.fail("needs at least one case");
  return results;
}

}  // namespace moesim
