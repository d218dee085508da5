// Blocks of rows are dealt over threads; each thread has its own counts, summed at the end.
#include "sim/trace/diff_routing.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace moesim {
namespace {

constexpr std::size_t kBlock = 4096;  // rows

void sum_into(std::vector<std::uint64_t>& sums, const std::vector<std::uint64_t>& more) {
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
}

void sum_into(SideLoad& sum, const SideLoad& more) {
  sum_into(sum.load, more.load);
  sum.not_routed += more.not_routed;
  sum.wrong_id = sum.wrong_id || more.wrong_id;
}

RoutingDifference no_counts(const RoutingInput& input) {
  RoutingDifference counts;
  const std::size_t k = input.top_k();
  counts.changed.assign(input.layers.size(), 0);
  counts.overlap.assign(input.layers.size() * (k + 1) * (2 * k + 1), 0);
  counts.a.load.assign(input.layers.size() * input.domains * input.experts(), 0);
  counts.b.load = counts.a.load;
  return counts;
}

class BlockReader {
 public:
  BlockReader(const RoutingInput& input, RoutingDifference& counts)
      : input_(input), counts_(counts) {}

  void read(std::size_t first, std::size_t end) {
    const std::size_t both = std::min(input_.a.tokens(), input_.b.tokens());
    for (std::size_t row = first; row < end; ++row) {
      for (std::size_t layer = 0; layer < input_.layers.size(); ++layer) {
        const SharedLayer& places = input_.layers[layer];
        if (row < input_.a.tokens()) {
          const std::size_t domain = input_.a_domains[input_.a.domain[row]];
          count(counts_.a, input_.a.choice(row, places.a), layer * input_.domains + domain);
        }
        if (row < input_.b.tokens()) {
          const std::size_t domain = input_.b_domains[input_.b.domain[row]];
          count(counts_.b, input_.b.choice(row, places.b), layer * input_.domains + domain);
        }
        if (row < both) compare(row, layer);
      }
    }
  }

 private:
  void count(SideLoad& side, std::span<const std::uint16_t> choice, std::size_t group) const {
    for (const std::uint16_t expert : choice) {
      if (expert < input_.experts())
        ++side.load[group * input_.experts() + expert];
      else if (expert == kNotRouted)
        ++side.not_routed;
      else
        side.wrong_id = true;
    }
  }

  void compare(std::size_t row, std::size_t layer) {
    const std::size_t k = input_.top_k();
    const SharedLayer& places = input_.layers[layer];
    const auto a = input_.a.choice(row, places.a), b = input_.b.choice(row, places.b);
    std::size_t in_a = 0, in_b = 0, in_both = 0;
    for (std::size_t i = 0; i < k; ++i) {
      if (a[i] != b[i]) {
        ++counts_.changed[layer];
        counts_.experts.found(row, layer, i);
      }
      if (b[i] != kNotRouted) ++in_b;
      if (a[i] == kNotRouted) continue;
      ++in_a;
      if (std::find(b.begin(), b.end(), a[i]) != b.end()) ++in_both;
    }
    const std::size_t in_either = in_a + in_b - std::min(in_both, in_b);
    ++counts_.overlap[(layer * (k + 1) + in_both) * (2 * k + 1) + in_either];
    if (!input_.a.weights.empty() && !input_.b.weights.empty()) compare_weights(row, layer);
  }

  void compare_weights(std::size_t row, std::size_t layer) {
    const std::size_t k = input_.top_k();
    const SharedLayer& places = input_.layers[layer];
    const auto a = input_.a.weights.subspan((row * input_.a.moe_layers() + places.a) * k, k);
    const auto b = input_.b.weights.subspan((row * input_.b.moe_layers() + places.b) * k, k);
    for (std::size_t i = 0; i < k; ++i)
      if (a[i] != b[i]) counts_.weights.found(row, layer, i);
  }

  const RoutingInput& input_;
  RoutingDifference& counts_;
};

}  // namespace

void FirstDifference::found(std::uint64_t at_row, std::size_t at_layer, std::size_t at_choice) {
  add({1, at_row, at_layer, at_choice});
}

void FirstDifference::add(const FirstDifference& other) {
  values += other.values;
  if (std::pair(other.row, other.layer) >= std::pair(row, layer)) return;
  row = other.row;
  layer = other.layer;
  choice = other.choice;
}

void RoutingDifference::add(const RoutingDifference& other) {
  experts.add(other.experts);
  weights.add(other.weights);
  sum_into(changed, other.changed);
  sum_into(overlap, other.overlap);
  sum_into(a, other.a);
  sum_into(b, other.b);
}

RoutingDifference diff_routing(const RoutingInput& input, int threads) {
  const std::size_t rows = std::max(input.a.tokens(), input.b.tokens());
  std::vector<RoutingDifference> counts(static_cast<std::size_t>(std::max(1, threads)),
                                        no_counts(input));
  std::atomic<std::size_t> next{0};
  const auto work = [&](std::size_t thread) {
    BlockReader reader(input, counts[thread]);
    for (std::size_t first = next.fetch_add(kBlock); first < rows; first = next.fetch_add(kBlock))
      reader.read(first, std::min(rows, first + kBlock));
  };
  std::vector<std::thread> pool;
  pool.reserve(counts.size() - 1);
  for (std::size_t i = 1; i < counts.size(); ++i) pool.emplace_back(work, i);
  work(0);
  for (std::thread& thread : pool) thread.join();
  for (std::size_t i = 1; i < counts.size(); ++i) counts[0].add(counts[i]);
  return std::move(counts[0]);
}

}  // namespace moesim
