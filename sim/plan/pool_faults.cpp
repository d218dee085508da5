// Applies one fault and looks whether the pool can go on.
#include "sim/plan/pool_faults.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "sim/cluster/detours.h"
#include "sim/plan/all_to_all.h"
#include "sim/plan/lost_rank.h"

namespace moesim {
namespace {

// All pairs of ranks of one group exchange; the groups are `size` ranks that follow each other.
void check_joined(const Pool& pool, int size, const char* group, const Fault& fault) {
  const std::vector<char> present = present_links(pool.cluster.fabric);
  const int ranks = pool.plan.parallelism.ranks;
  std::vector<char> lost(static_cast<std::size_t>(ranks));
  for (const Rank rank : pool.plan.lost) lost[index(rank)] = 1;
  for (int from = 0; from < ranks; ++from) {
    if (lost[static_cast<std::size_t>(from)] != 0) continue;
    for (int to = from / size * size; to < from / size * size + size; ++to) {
      if (to == from || lost[static_cast<std::size_t>(to)] != 0 ||
          is_whole(pool.cluster.fabric, present, Rank{from}, Rank{to}))
        continue;
      throw InputError(fault.where,
                       fmt::format("with {} nothing joins rank {} to rank {} any more, and they "
                                   "exchange in one {} group",
                                   to_text(fault), from, to, group));
    }
  }
}

// What every rank but `lost` would bring: a token for each of the others. Only the ranks of its
// node and those of its local rank bring any: over them an algorithm would forward.
std::shared_ptr<const RoutedCopies> tokens_around(const ExchangeShape& shape, std::size_t lost) {
  auto routed = std::make_shared<RoutedCopies>();
  const auto ranks = static_cast<std::size_t>(shape.ranks),
             per_node = static_cast<std::size_t>(shape.ranks_per_node);
  routed->ranks = shape.ranks;
  std::vector<std::uint32_t> to_rank(ranks), to_node((ranks + per_node - 1) / per_node);
  for (std::size_t source = 0; source < ranks; ++source) {
    const bool near = source / per_node == lost / per_node || source % per_node == lost % per_node;
    const bool brings = near && source != lost;
    const auto fill = [&](RowCounts& counts, std::vector<std::uint32_t>& rows) {
      std::fill(rows.begin(), rows.end(), brings ? 1 : 0);
      if (&rows == &to_rank) rows[lost] = 0;
      if (&rows == &to_node && per_node == 1) rows[lost] = 0;
      counts.add_source(rows);
    };
    fill(routed->copies, to_rank);
    fill(routed->rank_tokens, to_rank);
    fill(routed->node_tokens, to_node);
    routed->tokens.push_back(brings ? 1 : 0);
  }
  routed->most_for_expert = {1};
  return routed;
}

bool passes(const Leg& leg, std::size_t rank) {
  for (std::size_t source = 0; source < leg.rows->sources(); ++source)
    for (const auto [destination, rows] : leg.rows->of(source))
      if (source != destination && (source == rank || destination == rank)) return true;
  return false;
}

// Whether the algorithm moves rows to or over a rank that neither brings nor takes any.
bool needs_rank(const AllToAllPart& part, const ExchangeShape& shape, std::size_t rank) {
  const auto routed = tokens_around(shape, rank);
  for (const auto* direction : {&part.dispatch, &part.combine})
    for (const ExchangeTraffic& stage : (*direction)(shape, routed))
      for (const Leg& leg : stage.legs)
        if (passes(leg, rank)) return true;
  return false;
}

bool takes(const AllToAllPart& part, const ExchangeShape& shape) {
  try {
    check_shape(part, shape);
  } catch (const InputError&) {
    return false;
  }
  return true;
}

void check_algorithms(const Pool& pool, const MoeModel& model, const Fault& fault) {
  const ShardingPlan& plan = pool.plan;
  if (plan.parallelism.expert == 1) return;
  ExchangeShape shape;
  shape.hidden = model.expert_hidden();
  shape.ranks = plan.parallelism.expert;
  shape.ranks_per_node = pool.cluster.fabric.ranks_per_node;
  shape.physical_experts = static_cast<int>(model.experts) + plan.redundant_experts;
  shape.top_k = static_cast<int>(model.top_k);
  const std::size_t rank = index(fault.rank) % static_cast<std::size_t>(shape.ranks);
  const auto& catalog = Catalog<AllToAllPart>::instance();
  for (const std::string& name : {plan.dispatch, plan.combine}) {
    if (!needs_rank(catalog.at(name, "all-to-all"), shape, rank)) continue;
    std::vector<std::string> others;
    for (const auto& [other, entry] : catalog.entries())
      if (takes(entry.part, shape) && !needs_rank(entry.part, shape, rank)) others.push_back(other);
    throw InputError(fault.where,
                     fmt::format("{} moves rows to or over rank {}, so the pool cannot go on "
                                 "without it; these can: {}",
                                 name, index(fault.rank), fmt::join(others, ", ")));
  }
}

void check_loss(const Pool& pool, const MoeModel& model, const Fault& fault) {
  if (pool.plan.is_lost(fault.rank))
    throw InputError(fault.where, fmt::format("rank {} is lost already", index(fault.rank)));
  ShardingPlan after = pool.plan;
  after.lost.push_back(fault.rank);
  if (serving_groups(after).empty())
    throw InputError(fault.where, fmt::format("without rank {} no rank is left to take requests",
                                              index(fault.rank)));
  check_algorithms(pool, model, fault);
}

// Each rank reads what it was given over a host link of its own.
void reload(const std::vector<std::int64_t>& experts,
            const MoeModel& model,
            const Fault& fault,
            FaultEffect& effect) {
  const Bytes expert = Bytes(static_cast<double>(expert_parameters(model)) *
                             bytes_per_weight(effect.pool.plan.precision.experts));
  for (std::size_t rank = 0; rank < experts.size(); ++rank) {
    if (experts[rank] == 0) continue;
    const Accelerator& gpu = effect.pool.cluster.accelerator_of(id_of<Rank>(rank));
    if (!(gpu.pcie.value > 0))
      throw InputError(fault.where,
                       "rank " + std::to_string(rank) +
                           " would reload experts from host memory, but accelerator \"" + gpu.name +
                           "\" states no host link (key \"pcie\")");
    const Bytes bytes = static_cast<double>(experts[rank]) * expert;
    effect.reloaded += bytes;
    effect.recovery = std::max(effect.recovery, bytes / gpu.pcie);
  }
}

}  // namespace

FaultEffect apply_fault(const Pool& pool, const Fault& fault, const MoeModel& model) {
  FaultEffect effect{{with_fault(pool.cluster, fault), pool.plan}, {}, {}};
  ShardingPlan& plan = effect.pool.plan;
  if (fault.kind == FaultKind::rank_lost) {
    check_loss(pool, model, fault);
    reload(lose_rank(plan, model, fault.rank), model, fault, effect);
  }
  const bool paths_kept =
      fault.kind == FaultKind::slow_gpu || fault.kind == FaultKind::link_degraded;
  if (paths_kept) return effect;
  check_joined(effect.pool, plan.parallelism.expert, "expert-parallel", fault);
  check_joined(effect.pool, plan.parallelism.tensor, "tensor-parallel", fault);
  return effect;
}

std::vector<Fault> in_order(std::vector<Fault> faults) {
  std::stable_sort(faults.begin(), faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  return faults;
}

}  // namespace moesim
