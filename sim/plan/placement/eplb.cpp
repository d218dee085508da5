// Placement `eplb`: expert groups are packed onto nodes, the hottest experts of each node are
// replicated, and the replicas are packed onto the node's ranks.
#include "sim/plan/placement/eplb.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "sim/core/error.h"
#include "sim/plan/placement/replicas.h"
#include "sim/plan/placement/slots.h"

namespace moesim {
namespace {

// Where each item goes if packs hold equally many: items by falling weight, each into the lightest
// pack that has room. The value is pack x capacity + place in the pack.
std::vector<std::size_t> pack_evenly(std::span<const float> weight, std::size_t packs) {
  const std::size_t capacity = weight.size() / packs;
  std::vector<std::size_t> order(weight.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (capacity == 1) return order;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return weight[a] > weight[b]; });
  std::vector<float> pack_weight(packs, 0.0F);
  std::vector<std::size_t> filled(packs, 0), place(weight.size());
  for (const std::size_t item : order) {
    std::size_t lightest = packs;
    for (std::size_t pack = 0; pack < packs; ++pack)
      if (filled[pack] < capacity &&
          (lightest == packs || pack_weight[pack] < pack_weight[lightest]))
        lightest = pack;
    place[item] = lightest * capacity + filled[lightest]++;
    pack_weight[lightest] += weight[item];
  }
  return place;
}

struct Shape {
  std::size_t experts, slots, ranks, groups, nodes;
};

// The experts in the order of the nodes they are packed onto, whole groups at a time.
std::vector<std::size_t> experts_by_node(std::span<const float> load, const Shape& shape) {
  const std::size_t group_size = shape.experts / shape.groups;
  std::vector<float> group_load(shape.groups, 0.0F);
  for (std::size_t expert = 0; expert < shape.experts; ++expert)
    group_load[expert / group_size] += load[expert];
  const std::vector<std::size_t> place = pack_evenly(group_load, shape.nodes);
  std::vector<std::size_t> experts(shape.experts);
  for (std::size_t expert = 0; expert < shape.experts; ++expert)
    experts[place[expert / group_size] * group_size + expert % group_size] = expert;
  return experts;
}

EplbLayer balance_layer(const std::vector<double>& layer_load, const Shape& shape) {
  const std::vector<float> load(layer_load.begin(), layer_load.end());
  const std::vector<std::size_t> experts = experts_by_node(load, shape);
  const std::size_t node_experts = shape.experts / shape.nodes;
  const std::size_t node_slots = shape.slots / shape.nodes;
  EplbLayer layer;
  layer.expert_of_slot.resize(shape.slots);
  layer.slots_of_expert.resize(shape.experts);
  std::vector<float> node_load(node_experts), replica_load(node_slots);
  for (std::size_t node = 0; node < shape.nodes; ++node) {
    const auto of_node = std::span(experts).subspan(node * node_experts, node_experts);
    for (std::size_t i = 0; i < node_experts; ++i) node_load[i] = load[of_node[i]];
    const Replicas replicas = replicate(node_load, node_slots);
    for (std::size_t i = 0; i < node_slots; ++i)
      replica_load[i] = replicas.share[replicas.expert_of[i]];
    const auto place = pack_evenly(replica_load, shape.ranks / shape.nodes);
    for (std::size_t i = 0; i < node_slots; ++i) {
      const std::size_t expert = of_node[replicas.expert_of[i]];
      const auto slot = static_cast<int>(node * node_slots + place[i]);
      layer.expert_of_slot[static_cast<std::size_t>(slot)] = static_cast<int>(expert);
      layer.slots_of_expert[expert].push_back(slot);
    }
  }
  return layer;
}

std::vector<Placement> place(const PlacementInput& input) {
  std::vector<Placement> placements;
  for (const EplbLayer& layer : eplb(input)) {
    std::vector<LogicalExpert> replica_of;
    for (const int expert : layer.expert_of_slot)
      replica_of.push_back(static_cast<LogicalExpert>(expert));
    placements.push_back(placement_of(std::move(replica_of), input.ranks));
  }
  return placements;
}

}  // namespace

std::vector<EplbLayer> eplb(const PlacementInput& input) {
  Shape shape{expert_count(input), static_cast<std::size_t>(input.slots),
              static_cast<std::size_t>(input.ranks), static_cast<std::size_t>(input.groups),
              static_cast<std::size_t>(input.nodes)};
  if (shape.groups % shape.nodes != 0) shape.groups = shape.nodes = 1;
  if (shape.experts % shape.groups != 0)
    throw InputError(fmt::format("placement eplb: {} experts do not divide into {} groups",
                                 shape.experts, shape.groups));
  assert(shape.ranks % shape.nodes == 0 && "nodes divide the ranks");
  std::vector<EplbLayer> layers;
  for (const std::vector<double>& load : input.load) layers.push_back(balance_layer(load, shape));
  return layers;
}

namespace {
const Registered<PlacementPart> registered{
    "eplb", "DeepSeek's load balancer: replicates hot experts and packs them evenly", place};
}  // namespace
}  // namespace moesim
