// Draws the experts of one request's tokens from a trace's tables.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/random.h"
#include "sim/trace/routing_trace.h"
#include "workloads/traces/synth_tables.h"

namespace moesim {

// 32 random bits at a time.
class HalfWords {
 public:
  explicit HalfWords(Random random) : random_(random) {}
  std::uint32_t bits() {
    half_ = !half_;
    if (half_) {
      word_ = random_.bits();
      return static_cast<std::uint32_t>(word_ >> 32);
    }
    return static_cast<std::uint32_t>(word_);
  }
  bool happens(double chance) { return bits() < chance * 0x1.0p32; }
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((std::uint64_t{bits()} * n) >> 32);
  }

 private:
  Random random_;
  std::uint64_t word_ = 0;
  bool half_ = false;
};

// One table of LayerTables.
struct DrawTable {
  std::span<const std::uint32_t> cells, group_cells;
  std::span<const float> weights, group_weights;
};

// The routing of one request, token by token. Keeps references to what it is given.
class RequestDrawer {
 public:
  RequestDrawer(const SynthShape& shape,
                const std::vector<LayerTables>& layers,
                std::size_t domain,
                Random random);

  // The next token's experts, in the order drawn: `choices` is [moe_layer][k].
  void draw_token(Phase phase, std::span<std::uint16_t> choices);

 private:
  void renew_class(std::size_t layer, std::uint32_t renewal);
  DrawTable table_of(const LayerTables& tables, std::size_t number) const;
  void draw_choice(const DrawTable& table,
                   double repeat_first,
                   std::uint16_t previous,
                   std::span<std::uint16_t> choice);

  const SynthShape& shape_;
  const std::vector<LayerTables>& layers_;
  std::size_t domain_;
  HalfWords random_;
  std::vector<std::size_t> class_;       // by MoE layer
  std::vector<std::uint16_t> previous_;  // first expert of the token before, by MoE layer
  std::vector<std::uint16_t> kept_;      // groups
};

}  // namespace moesim
