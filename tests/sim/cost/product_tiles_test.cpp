// Waves of tiles against closed forms.
#include "sim/cost/product_tiles.h"

#include <doctest/doctest.h>

#include <vector>

#include "sim/cost/expert_work.h"

using namespace moesim;

namespace {

constexpr double kFast = 1e30;

ProductTiles dense(double rows, double inner, double outer, double count = 1) {
  ProductTiles tiles = dense_tiles(rows, count);
  tiles.inner = inner;
  tiles.outer = outer;
  return tiles;
}

Seconds time_of(const ProductTiles& tiles, const TileRates& rates, double peak) {
  return tile_time(tiles, rates, FlopsPerSecond(peak)).time;
}

}  // namespace

TEST_CASE("Whole waves of the smallest tile take what their FLOPs take") {
  const TileRates rates{10, BytesPerSecond(kFast), BytesPerSecond(kFast)};
  const double one_wave = 2.0 * 64 * 32 * 1000 * 10 / 1e12;  // 10 tiles of 64 x 32 on 10 SMs
  CHECK(time_of(dense(640, 1000, 32), rates, 1e12).count() == doctest::Approx(one_wave));
  CHECK(time_of(dense(64, 1000, 320), rates, 1e12).count() == doctest::Approx(one_wave));
  CHECK(time_of(dense(64, 1000, 32, 10), rates, 1e12).count() == doctest::Approx(one_wave));
}

TEST_CASE("A tile more than a wave holds costs another wave") {
  const TileRates rates{10, BytesPerSecond(kFast), BytesPerSecond(kFast)};
  const Seconds whole = time_of(dense(640, 1000, 32), rates, 1e12);
  CHECK(time_of(dense(641, 1000, 32), rates, 1e12) / whole == doctest::Approx(2));
  CHECK(time_of(dense(1280, 1000, 32), rates, 1e12) / whole == doctest::Approx(2));
  CHECK(time_of(dense(1, 1000, 32), rates, 1e12) / whole == doctest::Approx(1));  // one SM's tile
}

TEST_CASE("An SM that computes faster than it loads waits for the sides of its tile") {
  const TileRates rates{1, BytesPerSecond(1e9), BytesPerSecond(kFast)};
  ProductTiles tiles = dense(64, 1000, 32);
  CHECK(time_of(tiles, rates, kFast).count() == doctest::Approx((64 + 32) * 1000 / 1e9));
  tiles.element_bytes = 2;
  CHECK(time_of(tiles, rates, kFast).count() == doctest::Approx(2 * (64 + 32) * 1000 / 1e9));
}

TEST_CASE("A tile's outputs are stored after it, two bytes each") {
  const TileRates rates{1, BytesPerSecond(kFast), BytesPerSecond(1e9)};
  CHECK(time_of(dense(64, 1, 32), rates, kFast).count() == doctest::Approx(64 * 32 * 2 / 1e9));
}

TEST_CASE("More rows, columns or length never take less time") {
  const TileRates rates{132, BytesPerSecond(84e9), BytesPerSecond(27e9)};
  for (const double rows : {1, 63, 64, 65, 500, 4000}) {
    for (const double outer : {32, 1000, 4096}) {
      const Seconds time = time_of(dense(rows, 2048, outer), rates, 1e15);
      CHECK(time_of(dense(rows + 1, 2048, outer), rates, 1e15) >= time);
      CHECK(time_of(dense(rows, 2048, outer + 1), rates, 1e15) >= time);
      CHECK(time_of(dense(rows, 2049, outer), rates, 1e15) >= time);
      CHECK(time > Flops(2 * rows * outer * 2048) / FlopsPerSecond(1e15));
    }
  }
}

TEST_CASE("An expert of one row computes a block of 128 where rows lie one after another") {
  const TileRates rates{132, BytesPerSecond(84e9), BytesPerSecond(27e9)};
  const auto rows_of = [&](std::vector<std::uint32_t> rows, ExpertLayout layout) {
    const KernelWork work = grouped_gemm_work(rows, {1024, 1024, WeightFormat::fp8, "fp8"}, layout);
    return tile_time(work.tiles, rates, FlopsPerSecond(1e15)).rows;
  };
  CHECK(rows_of({1, 0, 128, 129}, ExpertLayout::contiguous) == 128 + 128 + 256);
  CHECK(rows_of({1, 0, 64, 64}, ExpertLayout::masked) == 3 * 64);
}

TEST_CASE("A masked kernel takes the tile of the mean load and pays where rows differ") {
  const TileRates rates{10, BytesPerSecond(kFast), BytesPerSecond(kFast)};
  const auto time = [&](const std::vector<std::uint32_t>& rows) {
    ProductTiles tiles = grouped_tiles(rows, 0);
    tiles.inner = 1000;
    tiles.outer = 320;
    return time_of(tiles, rates, 1e12);
  };
  // 64 rows each: a wave an expert of 10 tiles of 64 x 32. 1 and 127 rows: 1 + 2 blocks.
  CHECK(time({1, 127}) / time({64, 64}) == doctest::Approx(1.5));
  CHECK(time({64, 64, 0, 0}) == time({64, 64}));
}

TEST_CASE("k is split over idle SMs where the library does that, and the parts are added up") {
  TileRates rates{8, BytesPerSecond(kFast), BytesPerSecond(kFast), Seconds(1e-9)};
  const double whole = 2.0 * 64 * 32 * 1000 * 8 / 1e12;  // one tile on one of 8 SMs
  const ProductTiles one = dense(64, 1000, 32);
  CHECK(time_of(one, rates, 1e12).count() == doctest::Approx(whole / 8 + 1e-9));
  CHECK(time_of(dense(64, 1000, 96), rates, 1e12).count() == doctest::Approx(whole / 2 + 1e-9));
  // From five tiles on, two parts of each no longer fit in one wave.
  CHECK(time_of(dense(64, 1000, 160), rates, 1e12).count() == doctest::Approx(whole));
  rates.split = Seconds(whole);
  CHECK(time_of(one, rates, 1e12).count() == doctest::Approx(whole));  // not worth it
  rates.split = Seconds(0);
  CHECK(time_of(one, rates, 1e12).count() == doctest::Approx(whole));  // no such library
}

TEST_CASE("The products of experts are never split") {
  const TileRates rates{8, BytesPerSecond(kFast), BytesPerSecond(kFast), Seconds(1e-12)};
  const std::vector<std::uint32_t> rows{64};
  ProductTiles tiles = grouped_tiles(rows, 0);
  tiles.inner = 1000;
  tiles.outer = 32;
  CHECK(time_of(tiles, rates, 1e12).count() == doctest::Approx(2.0 * 64 * 32 * 1000 * 8 / 1e12));
}
