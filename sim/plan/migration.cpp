// All EP groups have one placement, so what moves in one moves in all.
#include "sim/plan/migration.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace moesim {
namespace {

using Ranks = std::vector<std::set<std::size_t>>;  // that hold an expert, by expert

Ranks holders(const Placement& placement) {
  Ranks ranks;
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot) {
    if (placement.replica_of[slot] == kNoExpert) continue;
    const std::size_t expert = index(placement.replica_of[slot]);
    ranks.resize(std::max(ranks.size(), expert + 1));
    ranks[expert].insert(index(placement.rank_of[slot]));
  }
  return ranks;
}

// Replicas within one EP group, [source][destination].
std::vector<std::uint32_t> moved_in_group(const Placement& from,
                                          const Placement& to,
                                          std::size_t ranks,
                                          std::size_t ranks_per_node) {
  std::vector<std::uint32_t> moved(ranks * ranks), sent(ranks);
  const Ranks before = holders(from), after = holders(to);
  for (std::size_t expert = 0; expert < after.size(); ++expert) {
    for (const std::size_t rank : after[expert]) {
      if (expert >= before.size() || before[expert].empty() || before[expert].count(rank) > 0)
        continue;
      const auto far = [&](std::size_t source) {
        return std::tuple(source / ranks_per_node != rank / ranks_per_node, sent[source], source);
      };
      const std::size_t source =
          *std::min_element(before[expert].begin(), before[expert].end(),
                            [&](std::size_t a, std::size_t b) { return far(a) < far(b); });
      ++moved[source * ranks + rank];
      ++sent[source];
    }
  }
  return moved;
}

std::shared_ptr<const RowCounts> in_all_groups(const std::vector<std::uint32_t>& moved,
                                               const Parallelism& parallelism) {
  if (std::all_of(moved.begin(), moved.end(), [](std::uint32_t rows) { return rows == 0; }))
    return nullptr;
  const auto of_group = static_cast<std::size_t>(parallelism.expert);
  auto rows = std::make_shared<RowCounts>();
  std::vector<std::uint32_t> row(static_cast<std::size_t>(parallelism.ranks));
  for (std::size_t rank = 0; rank < row.size(); ++rank) {
    const std::size_t first = rank / of_group * of_group;
    std::copy_n(moved.begin() + static_cast<std::ptrdiff_t>((rank - first) * of_group), of_group,
                row.begin() + static_cast<std::ptrdiff_t>(first));
    rows->add_source(row);
  }
  return rows;
}

}  // namespace

std::uint64_t Migration::moved() const {
  std::uint64_t sum = 0;
  for (const auto& layer : replicas) sum += layer ? layer->total() : 0;
  return sum;
}

Migration migration_between(const std::vector<Placement>& from,
                            const std::vector<Placement>& to,
                            const Parallelism& parallelism,
                            int ranks_per_node,
                            LayerSpan layers) {
  Migration migration;
  migration.replicas.resize(from.size());
  for (std::size_t layer = layers.first; layer < std::min(layers.last, from.size()); ++layer)
    migration.replicas[layer] = in_all_groups(
        moved_in_group(from[layer], to.at(layer), static_cast<std::size_t>(parallelism.expert),
                       static_cast<std::size_t>(ranks_per_node)),
        parallelism);
  return migration;
}

}  // namespace moesim
