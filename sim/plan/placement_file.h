// Placements as JSON files: SGLang's (--init-expert-location), vLLM's maps, and the project's own,
// which adds what the placement was made for.
#pragma once

#include <string>
#include <vector>

#include "sim/plan/sharding_plan.h"

namespace moesim {

// All hold "physical_to_logical_map", [layer][slot]: the logical expert of each slot, slots in the
// order of ranks.
enum class PlacementFormat {
  moesim,  // with strategy, experts, ranks, nodes, groups, seed, layers and balancedness
  sglang,  // nothing else; a row for every transformer layer, dense ones hold experts in order
  vllm     // with "logical_to_physical_map", [layer][expert][replica], -1 = none, and
           // "logical_replica_count", [layer][expert]; a row for every MoE layer
};
PlacementFormat placement_format_named(const std::string& name);  // InputError: unknown name

// What a placement was made for.
struct PlacementOrigin {
  std::string strategy;
  int experts = 0, ranks = 1, nodes = 1, groups = 1;
  std::uint64_t seed = 0;
  std::vector<int> layer_ids;                    // transformer layers of the rows; empty = unknown
  std::vector<double> contiguous, balancedness;  // by layer: of experts in order, of the placement
};

std::string placement_text(const std::vector<Placement>& placements,
                           const PlacementOrigin& origin,
                           PlacementFormat format);

struct PlacementShape {
  int experts = 0, slots = 0, ranks = 1;
};

// Rows of any of the formats as one Placement each. The file may lack physical_to_logical_map where
// it has logical_to_physical_map; where it has both, they must agree. Where it has "ranks" or
// "experts" they must be the shape's. InputError with file, line and key: a row of another length
// than shape.slots, an expert beyond shape.experts, one that no slot holds, slots held twice.
std::vector<Placement> read_placement(const std::string& path, const PlacementShape& shape);

// The placements of the MoE layers `layer_ids` out of a file's: one for each, or one for every
// transformer layer of the model, of which those with these ids are taken. InputError with `path`
// where there are neither as many.
std::vector<Placement> placements_of_layers(std::vector<Placement> placements,
                                            const std::vector<int>& layer_ids,
                                            std::size_t model_layers,
                                            const std::string& path);

}  // namespace moesim
