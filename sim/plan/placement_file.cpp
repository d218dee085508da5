// Rows of slots out and in.
#include "sim/plan/placement_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/io/json_reader.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

using Rows = std::vector<std::vector<int>>;

Rows rows_of(const std::vector<Placement>& placements) {
  Rows rows;
  for (const Placement& placement : placements) {
    rows.emplace_back();
    for (const LogicalExpert expert : placement.replica_of)
      rows.back().push_back(static_cast<int>(expert));
  }
  return rows;
}

// A row for every transformer layer up to the last MoE layer.
Rows with_dense_layers(const Rows& rows, const PlacementOrigin& origin) {
  if (origin.layer_ids.empty()) return rows;
  std::vector<int> in_order;
  in_order.reserve(rows.front().size());
  for (std::size_t slot = 0; slot < rows.front().size(); ++slot)
    in_order.push_back(static_cast<int>(slot) % origin.experts);
  Rows all(static_cast<std::size_t>(origin.layer_ids.back()) + 1, in_order);
  for (std::size_t layer = 0; layer < rows.size(); ++layer)
    all[static_cast<std::size_t>(origin.layer_ids[layer])] = rows[layer];
  return all;
}

void add_slots_of_experts(const Rows& rows, int experts, nlohmann::ordered_json& file) {
  std::vector<Rows> slots_of;
  std::size_t most = 0;
  for (const std::vector<int>& row : rows) {
    slots_of.emplace_back(static_cast<std::size_t>(experts));
    for (std::size_t slot = 0; slot < row.size(); ++slot)
      slots_of.back()[static_cast<std::size_t>(row[slot])].push_back(static_cast<int>(slot));
    for (const auto& slots : slots_of.back()) most = std::max(most, slots.size());
  }
  Rows counts;
  for (Rows& layer : slots_of) {
    counts.emplace_back();
    for (std::vector<int>& slots : layer) {
      counts.back().push_back(static_cast<int>(slots.size()));
      slots.resize(most, -1);
    }
  }
  file["logical_to_physical_map"] = slots_of;
  file["logical_replica_count"] = counts;
}

void check_row(const JsonNode& row, const std::vector<int>& experts, const PlacementShape& shape) {
  if (static_cast<int>(experts.size()) != shape.slots)
    row.fail(fmt::format("has {} slots; {} experts + {} redundant make {}", experts.size(),
                         shape.experts, shape.slots - shape.experts, shape.slots));
  std::vector<char> placed(static_cast<std::size_t>(shape.experts), 0);
  for (const int expert : experts) placed[static_cast<std::size_t>(expert)] = 1;
  const auto missing = std::find(placed.begin(), placed.end(), 0);
  if (missing != placed.end())
    row.fail(fmt::format("no slot holds expert {}; every expert of the {} needs one",
                         missing - placed.begin(), shape.experts));
}

Rows read_expert_of_slot(const JsonNode& map, const PlacementShape& shape) {
  Rows rows;
  for (const JsonNode& row : map.items()) {
    rows.emplace_back();
    for (const JsonNode& expert : row.items())
      rows.back().push_back(static_cast<int>(expert.as_int(0, shape.experts - 1)));
    check_row(row, rows.back(), shape);
  }
  if (rows.empty()) map.fail("needs a row for at least one layer, [layer][slot]");
  return rows;
}

// Puts `expert` into the slots listed.
void fill_slots(const JsonNode& slots, int expert, std::vector<int>& row) {
  for (const JsonNode& node : slots.items()) {
    const std::int64_t slot = node.as_int(-1, static_cast<std::int64_t>(row.size()) - 1);
    if (slot < 0) continue;
    int& held = row[static_cast<std::size_t>(slot)];
    if (held >= 0) node.fail(fmt::format("slot {} holds expert {} already", slot, held));
    held = expert;
  }
}

// logical_to_physical_map, [layer][expert][replica].
Rows read_slots_of_expert(const JsonNode& map, const PlacementShape& shape) {
  Rows rows;
  for (const JsonNode& layer : map.items()) {
    std::vector<int> row(static_cast<std::size_t>(shape.slots), -1);
    const std::vector<JsonNode> experts = layer.items();
    if (static_cast<int>(experts.size()) != shape.experts)
      layer.fail(fmt::format("has {} experts, the model {}", experts.size(), shape.experts));
    for (std::size_t expert = 0; expert < experts.size(); ++expert)
      fill_slots(experts[expert], static_cast<int>(expert), row);
    const auto empty = std::find(row.begin(), row.end(), -1);
    if (empty != row.end())
      layer.fail(fmt::format("slot {} of {} holds no expert", empty - row.begin(), shape.slots));
    check_row(layer, row, shape);
    rows.push_back(std::move(row));
  }
  if (rows.empty()) map.fail("needs a row for at least one layer, [layer][expert][replica]");
  return rows;
}

Rows read_rows(const JsonNode& file, const PlacementShape& shape) {
  const auto by_slot = file.find("physical_to_logical_map");
  const auto by_expert = file.find("logical_to_physical_map");
  if (!by_slot && !by_expert)
    file.fail(
        "has neither \"physical_to_logical_map\", [layer][slot], nor \"logical_to_physical_map\"");
  if (!by_slot) return read_slots_of_expert(*by_expert, shape);
  Rows rows = read_expert_of_slot(*by_slot, shape);
  if (by_expert && read_slots_of_expert(*by_expert, shape) != rows)
    by_expert->fail("says otherwise than physical_to_logical_map of the same file");
  return rows;
}

}  // namespace

PlacementFormat placement_format_named(const std::string& name) {
  static const std::vector<std::string> names{"moesim", "sglang", "vllm"};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError("unknown placement format \"" + name + "\"" + name_help(name, names));
  return static_cast<PlacementFormat>(found - names.begin());
}

std::string placement_text(const std::vector<Placement>& placements,
                           const PlacementOrigin& origin,
                           PlacementFormat format) {
  const Rows rows = rows_of(placements);
  nlohmann::ordered_json file;
  if (format == PlacementFormat::moesim) {
    file["strategy"] = origin.strategy;
    file["experts"] = origin.experts;
    file["ranks"] = origin.ranks;
    file["nodes"] = origin.nodes;
    file["groups"] = origin.groups;
    file["seed"] = origin.seed;
    if (!origin.layer_ids.empty()) file["layers"] = origin.layer_ids;
    file["balancedness"] = {{"contiguous", origin.contiguous}, {"placed", origin.balancedness}};
  }
  file["physical_to_logical_map"] =
      format == PlacementFormat::sglang ? with_dense_layers(rows, origin) : rows;
  if (format == PlacementFormat::vllm) add_slots_of_experts(rows, origin.experts, file);
  return file.dump() + "\n";
}

std::vector<Placement> read_placement(const std::string& path, const PlacementShape& shape) {
  const JsonNode file = read_json_file(path);
  const auto same = [&](const char* key, int own) {
    const auto node = file.find(key);
    if (node && node->as_int(1, INT32_MAX) != own)
      node->fail(fmt::format("the placement was made for {} {}, here are {}", node->json().dump(),
                             key, own));
  };
  same("experts", shape.experts);
  same("ranks", shape.ranks);
  std::vector<Placement> placements;
  for (const std::vector<int>& row : read_rows(file, shape)) {
    std::vector<LogicalExpert> replica_of;
    replica_of.reserve(row.size());
    for (const int expert : row) replica_of.push_back(static_cast<LogicalExpert>(expert));
    placements.push_back(placement_of(std::move(replica_of), shape.ranks));
  }
  return placements;
}

std::vector<Placement> placements_of_layers(std::vector<Placement> placements,
                                            const std::vector<int>& layer_ids,
                                            std::size_t model_layers,
                                            const std::string& path) {
  if (placements.size() == layer_ids.size()) return placements;
  const auto last = static_cast<std::size_t>(layer_ids.back());
  if (placements.size() != model_layers && placements.size() != last + 1)
    throw InputError({path, 0, 0, "physical_to_logical_map"},
                     fmt::format("has {} layers; allowed: {}, the MoE layers, or {}, all of the "
                                 "model",
                                 placements.size(), layer_ids.size(), model_layers));
  std::vector<Placement> of_layers;
  of_layers.reserve(layer_ids.size());
  for (const int layer : layer_ids)
    of_layers.push_back(std::move(placements.at(static_cast<std::size_t>(layer))));
  return of_layers;
}

}  // namespace moesim
