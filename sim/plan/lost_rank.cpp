// Moves experts layer by layer, requests one by one.
#include "sim/plan/lost_rank.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "sim/plan/step_conditions.h"

namespace moesim {
namespace {

using Experts = std::vector<std::vector<LogicalExpert>>;  // of one layer, by rank of the EP group

Experts experts_by_rank(const Placement& placement, std::size_t ranks) {
  Experts experts(ranks);
  for (std::size_t slot = 0; slot < placement.replica_of.size(); ++slot)
    if (placement.replica_of[slot] != kNoExpert)
      experts[index(placement.rank_of[slot])].push_back(placement.replica_of[slot]);
  return experts;
}

Placement placement_of(const Experts& experts, std::size_t slots_per_rank) {
  Placement placement;
  for (std::size_t rank = 0; rank < experts.size(); ++rank) {
    for (std::size_t slot = 0; slot < slots_per_rank; ++slot) {
      placement.replica_of.push_back(slot < experts[rank].size() ? experts[rank][slot] : kNoExpert);
      placement.rank_of.push_back(id_of<Rank>(rank));
    }
  }
  return placement;
}

// The experts that only `lost` holds go to survivors; `given` counts what each has been given.
void rehost(Experts& experts,
            std::size_t lost,
            const std::vector<std::size_t>& survivors,
            std::int64_t layers,
            std::vector<std::int64_t>& given) {
  std::set<LogicalExpert> held;
  for (const std::size_t rank : survivors) held.insert(experts[rank].begin(), experts[rank].end());
  for (const LogicalExpert expert : std::exchange(experts[lost], {})) {
    if (!held.insert(expert).second) continue;
    const auto order = [&](std::size_t rank) {
      return std::make_tuple(experts[rank].size(), given[rank], rank);
    };
    const std::size_t host =
        *std::min_element(survivors.begin(), survivors.end(),
                          [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
    experts[host].push_back(expert);
    given[host] += layers;
  }
}

std::vector<std::size_t> survivors_of(const ShardingPlan& plan, std::size_t group) {
  const auto ranks = static_cast<std::size_t>(plan.parallelism.expert);
  std::vector<std::size_t> survivors;
  for (std::size_t member = 0; member < ranks; ++member)
    if (!plan.is_lost(id_of<Rank>(group * ranks + member))) survivors.push_back(member);
  return survivors;
}

// All groups with as many slots a rank as the fullest one needs.
std::vector<Placement> with_equal_slots(const std::vector<Experts>& groups) {
  std::size_t most = 0;
  for (const Experts& experts : groups)
    for (const auto& of_rank : experts) most = std::max(most, of_rank.size());
  std::vector<Placement> placements;
  placements.reserve(groups.size());
  for (const Experts& experts : groups) placements.push_back(placement_of(experts, most));
  return placements;
}

}  // namespace

std::vector<std::int64_t> lose_rank(ShardingPlan& plan, const MoeModel& model, Rank rank) {
  const auto ranks = static_cast<std::size_t>(plan.parallelism.expert),
             groups = static_cast<std::size_t>(plan.parallelism.ep_groups());
  const std::size_t group = index(rank) / ranks;
  plan.lost.push_back(rank);
  std::sort(plan.lost.begin(), plan.lost.end());
  std::vector<std::int64_t> loads(static_cast<std::size_t>(plan.parallelism.ranks));
  const std::vector<std::size_t> survivors = survivors_of(plan, group);
  if (survivors.empty() || plan.placement.empty()) return loads;

  std::vector<std::int64_t> given(ranks);
  std::vector<std::vector<Placement>> placements(groups);
  for (std::size_t layer = 0; layer < plan.placement.size(); ++layer) {
    std::vector<Experts> experts;
    for (std::size_t g = 0; g < groups; ++g)
      experts.push_back(experts_by_rank(plan.placement_of(layer, g), ranks));
    rehost(experts[group], index(rank) % ranks, survivors, layers_replaying(model, plan, layer),
           given);
    const std::vector<Placement> equal = with_equal_slots(experts);
    for (std::size_t g = 0; g < groups; ++g) placements[g].push_back(equal[g]);
  }
  plan.group_placement = std::move(placements);
  std::copy(given.begin(), given.end(), loads.begin() + static_cast<std::ptrdiff_t>(group * ranks));
  return loads;
}

std::vector<std::size_t> serving_groups(const ShardingPlan& plan) {
  const auto tensor = static_cast<std::size_t>(plan.parallelism.tensor);
  std::vector<std::size_t> serving;
  for (std::size_t group = 0; group < static_cast<std::size_t>(plan.parallelism.data()); ++group)
    if (std::none_of(plan.lost.begin(), plan.lost.end(),
                     [&](Rank rank) { return index(rank) / tensor == group; }))
      serving.push_back(group);
  return serving;
}

Batch move_requests(const Batch& batch, const ShardingPlan& plan) {
  if (plan.lost.empty()) return batch;
  const std::vector<std::size_t> serving = serving_groups(plan);
  Batch moved = batch;
  std::size_t turn = 0;
  for (std::size_t group = 0; group < batch.by_rank.size(); ++group) {
    if (std::binary_search(serving.begin(), serving.end(), group)) continue;
    moved.by_rank[group].clear();
    moved.rows[group].clear();
    if (!moved.host.empty()) moved.host[group] = Seconds(0);
    auto row = batch.rows[group].begin();
    for (const BatchEntry& entry : batch.by_rank[group]) {
      if (entry.request == kPaddingRequest) {  // filled up a batch that is no more
        moved.padding -= static_cast<std::size_t>(entry.new_tokens);
        row += entry.new_tokens;
        continue;
      }
      const std::size_t taker = serving[turn++ % serving.size()];
      moved.by_rank[taker].push_back(entry);
      moved.rows[taker].insert(moved.rows[taker].end(), row, row + entry.new_tokens);
      row += entry.new_tokens;
    }
  }
  return moved;
}

}  // namespace moesim
