// How a matrix product falls into tiles, and how long the SMs take over them. Formulas:
// docs/models.md, "Kernels".
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "sim/core/units.h"

namespace moesim {

// Rows of the block heights a kernel chooses from.
inline constexpr std::array<int, 3> kBlockRows{64, 128, 256};

// Products of one inner and outer side whose rows are cut into blocks apart from each other. A
// kernel that learns the rows of each only when it runs chooses its tile by their mean.
struct ProductTiles {
  // By block height: blocks that hold the rows, 0 = a height the kernel may not take; and those it
  // expects when it chooses.
  std::array<double, 3> blocks{}, expected{};
  double inner = 0, outer = 0;  // k, n; inner 0 = no product
  double element_bytes = 1;     // of the inputs
  bool divisible = false;       // its k may be split over SMs where the library does that

  bool exist() const { return inner > 0; }
};

// One product of `rows`, `count` times over.
ProductTiles dense_tiles(double rows, double count);
// One product for each expert with rows; blocks of one height only, 0 = any.
ProductTiles grouped_tiles(std::span<const std::uint32_t> rows_by_expert, int block_rows);

// What one accelerator's SMs reach.
struct TileRates {
  double sms = 1;
  BytesPerSecond load, store;  // one SM: tile inputs, by way of the L2 cache; tile outputs
  Seconds split{};             // what adding up the parts of a split k costs; 0 = k is never split
};

struct TileTime {
  Seconds time{};
  double rows = 0;  // computed, whole blocks
};
// `peak`: FLOP rate that the SMs reach together. The tile that the expected blocks finish soonest
// with; every wave of one tile an SM takes as long as a tile, filled or not. A product whose tiles
// leave SMs idle may have its k split in 2, 4, ... parts, as long as all of them fit in one wave.
TileTime tile_time(const ProductTiles& tiles, const TileRates& rates, FlopsPerSecond peak);

}  // namespace moesim
