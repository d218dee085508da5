// Wave quantisation: whole blocks of rows, whole tiles, whole waves over the SMs.
#include "sim/cost/product_tiles.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moesim {
namespace {

// Tiles that libraries offer (DeepGEMM, CUTLASS): columns by block height.
struct TileColumns {
  std::size_t height;  // index into kBlockRows
  int columns;
};
constexpr std::array<TileColumns, 7> kTiles{
    {{0, 32}, {0, 64}, {0, 128}, {1, 64}, {1, 128}, {2, 64}, {2, 128}}};

double blocks_of(double rows, std::size_t height) { return std::ceil(rows / kBlockRows[height]); }

struct Rates {
  const TileRates& tiles;
  FlopsPerSecond peak;
};

// parts: of k, each in a block of its own; parts of 4 bytes an output are written and added up.
Seconds time_of(const ProductTiles& tiles,
                const Rates& rates,
                const TileColumns& tile,
                double blocks,
                int parts = 1) {
  const double rows = kBlockRows[tile.height], columns = tile.columns, inner = tiles.inner / parts;
  const double all = blocks * std::ceil(tiles.outer / columns) * parts;
  const Seconds compute =
      Flops(2 * rows * columns * inner) / (FlopsPerSecond(rates.peak / rates.tiles.sms));
  const Seconds load = Bytes((rows + columns) * inner * tiles.element_bytes) / rates.tiles.load;
  const Seconds store = Bytes((parts > 1 ? 4 : 2) * rows * columns) / rates.tiles.store;
  return std::ceil(all / rates.tiles.sms) * (std::max(compute, load) + store) +
         (parts > 1 ? rates.tiles.split : Seconds(0));
}

// The number of parts of k that ends soonest: 1 where it is not split.
Seconds soonest_parts(const ProductTiles& tiles,
                      const Rates& rates,
                      const TileColumns& tile,
                      double blocks) {
  constexpr int kMostParts = 16;
  Seconds soonest = time_of(tiles, rates, tile, blocks);
  if (!tiles.divisible || rates.tiles.split == Seconds(0)) return soonest;
  const double whole = blocks * std::ceil(tiles.outer / tile.columns);
  for (int parts = 2; parts <= kMostParts && whole * parts <= rates.tiles.sms; parts *= 2)
    soonest = std::min(soonest, time_of(tiles, rates, tile, blocks, parts));
  return soonest;
}

}  // namespace

ProductTiles dense_tiles(double rows, double count) {
  ProductTiles tiles;
  for (std::size_t height = 0; height < kBlockRows.size(); ++height)
    tiles.blocks[height] = tiles.expected[height] = count * blocks_of(rows, height);
  tiles.divisible = true;
  return tiles;
}

ProductTiles grouped_tiles(std::span<const std::uint32_t> rows_by_expert, int block_rows) {
  ProductTiles tiles;
  double active = 0, rows = 0;
  for (const std::uint32_t expert : rows_by_expert) {
    active += expert > 0 ? 1 : 0;
    rows += expert;
  }
  for (std::size_t height = 0; active > 0 && height < kBlockRows.size(); ++height) {
    if (block_rows != 0 && kBlockRows[height] != block_rows) continue;
    for (const std::uint32_t expert : rows_by_expert)
      tiles.blocks[height] += blocks_of(expert, height);
    tiles.expected[height] = active * blocks_of(rows / active, height);
  }
  return tiles;
}

TileTime tile_time(const ProductTiles& tiles, const TileRates& rates, FlopsPerSecond peak) {
  Seconds soonest(std::numeric_limits<double>::infinity());
  TileTime chosen;
  for (const TileColumns& tile : kTiles) {
    const double expected = tiles.expected[tile.height];
    if (expected == 0) continue;
    const Seconds time = soonest_parts(tiles, {rates, peak}, tile, expected);
    if (time >= soonest) continue;
    soonest = time;
    chosen = {soonest_parts(tiles, {rates, peak}, tile, tiles.blocks[tile.height]),
              tiles.blocks[tile.height] * kBlockRows[tile.height]};
  }
  return chosen;
}

}  // namespace moesim
