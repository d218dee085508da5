// Rows of distinct experts whose loads are given.
#include <algorithm>
#include <numeric>

#include "workloads/traces/expert_counts.h"

namespace moesim {
namespace {

// Rows drawn with one random order of the experts. Few, so that many pairs of experts meet.
constexpr std::size_t kBlockRows = 16;

// A block's share of what remains: floor or ceiling of remaining x rows / rows_left each, by
// systematic rounding (one random offset for all), so that the shares' sum is exact.
std::vector<std::int64_t> block_share(const std::vector<std::int64_t>& remaining,
                                      const std::vector<std::uint32_t>& order,
                                      std::int64_t rows,
                                      std::int64_t rows_left,
                                      Random& random) {
  std::vector<std::int64_t> share(remaining.size());
  auto place = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(rows_left)));
  std::int64_t before = 0;  // place / rows_left, and the place starts below rows_left
  for (const std::uint32_t expert : order) {
    place += remaining[expert] * rows;
    const std::int64_t now = place / rows_left;
    share[expert] = now - before;
    before = now;
  }
  return share;
}

}  // namespace

std::vector<std::uint16_t> draw_rows(std::span<const std::int64_t> loads,
                                     std::size_t tokens,
                                     std::size_t top_k,
                                     Random random) {
  std::vector<std::uint32_t> place_of(tokens);  // rows are dealt out in random order
  std::iota(place_of.begin(), place_of.end(), 0U);
  random.shuffle(std::span(place_of));
  std::vector<std::int64_t> remaining(loads.begin(), loads.end());
  const std::int64_t routed = std::accumulate(loads.begin(), loads.end(), std::int64_t{0});
  remaining.push_back(static_cast<std::int64_t>(tokens * top_k) - routed);  // not routed
  std::vector<std::uint32_t> order(remaining.size());
  std::iota(order.begin(), order.end(), 0U);

  std::vector<std::uint16_t> rows(tokens * top_k);
  std::vector<std::uint16_t> layout;
  for (std::size_t first = 0; first < tokens; first += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, tokens - first);
    random.shuffle(std::span(order));
    const std::vector<std::int64_t> share =
        block_share(remaining, order, static_cast<std::int64_t>(count),
                    static_cast<std::int64_t>(tokens - first), random);
    // Experts one after another, each as often as its share, at most `count`: places that are
    // `count` apart never hold the same one.
    layout.clear();
    for (const std::uint32_t expert : order) {
      const auto id = expert == loads.size() ? kNotRouted : static_cast<std::uint16_t>(expert);
      layout.insert(layout.end(), static_cast<std::size_t>(share[expert]), id);
      remaining[expert] -= share[expert];
    }
    for (std::size_t row = 0; row < count; ++row) {
      const std::span<std::uint16_t> out =
          std::span(rows).subspan(place_of[first + row] * top_k, top_k);
      for (std::size_t slot = 0; slot < top_k; ++slot) out[slot] = layout[slot * count + row];
      random.shuffle(out);
    }
  }
  return rows;
}

}  // namespace moesim
