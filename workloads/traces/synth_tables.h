// What the synthesizer draws from, made once a trace: for every MoE layer, domain, phase and token
// class the chances of the experts, as alias tables.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/random.h"
#include "workloads/traces/synth.h"

namespace moesim {

// Draws i with chance weight_i / sum in one step (Walker 1977, in Vose's form): half of a cell is i
// itself, the rest its alias. At most 65536 weights.
class AliasTable {
 public:
  static void build(std::span<const float> weights, std::span<std::uint32_t> cells);
  // `bits` are 32 random ones: the cell, and 16 bits of where in it.
  static std::uint32_t draw(std::span<const std::uint32_t> cells, std::uint32_t bits) {
    const std::uint64_t place = std::uint64_t{bits} * cells.size();
    const auto index = static_cast<std::uint32_t>(place >> 32);
    const std::uint32_t within = static_cast<std::uint32_t>(place) >> 16;
    const std::uint32_t cell = cells[index];
    return within < (cell >> 16) ? index : (cell & 0xFFFF);
  }
};

// The shape of a trace to be drawn, checked.
struct SynthShape {
  int experts = 0, top_k = 0, moe_layers = 0, groups = 1, kept_groups = 1;
  std::size_t domains = 1;
  bool decode = true;               // decode tokens occur
  std::vector<double> token_share;  // of all tokens: [domain][prefill, decode]

  std::size_t phases() const { return decode ? 2 : 1; }
};

// The chances of one MoE layer. Tables are [domain][phase][class]; a table has `experts` cells, and
// `groups` cells of group chances when routing is limited to groups.
struct LayerTables {
  SynthLayer values;
  std::size_t classes = 1;
  std::vector<std::uint32_t> cells, group_cells;
  std::vector<float> weights, group_weights;

  // The table's number of a domain, phase and class.
  std::size_t table(const SynthShape& shape,
                    std::size_t domain,
                    std::size_t phase,
                    std::size_t token_class) const {
    return ((domain * shape.phases()) + (shape.decode ? phase : 0)) * classes + token_class;
  }
};

// `curve_of` names the profile's domain whose curve each domain of the trace has.
LayerTables make_layer_tables(const SynthProfile& profile,
                              const SynthShape& shape,
                              const std::vector<std::size_t>& curve_of,
                              int moe_layer,
                              std::uint64_t seed);

// Expected load over mean of each expert, by domain, for prefill then decode: [domain][phase].
using LayerLoads = std::vector<std::vector<std::vector<double>>>;
LayerLoads popularity(const SynthProfile& profile,
                      const SynthShape& shape,
                      const std::vector<std::size_t>& curve_of,
                      int moe_layer,
                      Random& random);

// Load of all tokens by falling place, domains and phases in their shares.
std::vector<double> mixed_curve(const SynthShape& shape, const LayerLoads& loads);
// Exchanges experts' places within domains so that mixed_curve comes near layer.targets.all_load
// and the domains stay layer.domain_distance apart. Every domain keeps its own curve.
void arrange(const SynthShape& shape, const SynthLayer& layer, LayerLoads& loads, Random& random);

// Chances that a token of a class is sent to an expert, [class][expert], into `chances`: every
// class sends top_k copies and the mean over classes is load x top_k / experts, both nearly
// (iterated proportional fitting, from load x taste). `tastes` is [class][expert] as well.
void class_chances(const std::vector<double>& load,
                   std::span<const float> tastes,
                   int top_k,
                   std::span<float> chances);

}  // namespace moesim
