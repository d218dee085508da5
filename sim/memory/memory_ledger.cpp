// build_ledger: adds the parts of every rank up and finds the fullest one.
#include "sim/memory/memory_ledger.h"

#include <algorithm>
#include <array>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

Bytes& of(RankMemory& rank, MemoryKind kind) {
  return rank.by_kind[static_cast<std::size_t>(kind)];
}

// Each data-parallel rank's largest cache and largest activations over the batches.
std::vector<WorkingSet> largest_sets(const MoeModel& model,
                                     const ShardingPlan& plan,
                                     const std::vector<Batch>& batches) {
  std::vector<WorkingSet> sets(static_cast<std::size_t>(plan.parallelism.data()));
  for (const Batch& batch : batches) {
    for (std::size_t group = 0; group < sets.size() && group < batch.by_rank.size(); ++group) {
      const WorkingSet set = working_set(model, plan, batch.by_rank[group]);
      sets[group].kv_cache = std::max(sets[group].kv_cache, set.kv_cache);
      sets[group].activations = std::max(sets[group].activations, set.activations);
    }
  }
  return sets;
}

MemoryKind first_over(const RankMemory& rank, Bytes capacity) {
  Bytes filled;
  for (std::size_t kind = 0; kind < rank.by_kind.size(); ++kind) {
    filled += rank.by_kind[kind];
    if (filled > capacity) return static_cast<MemoryKind>(kind);
  }
  return MemoryKind::runtime;
}

}  // namespace

std::string to_text(MemoryKind kind) {
  constexpr std::array<const char*, kMemoryKinds> names{
      "dense weights", "shared experts", "routed experts",   "redundant experts",
      "KV cache",      "activations",    "exchange buffers", "runtime"};
  return names.at(static_cast<std::size_t>(kind));
}

Bytes RankMemory::total() const {
  Bytes sum;
  for (const Bytes bytes : by_kind) sum += bytes;
  return sum;
}

MemoryLedger build_ledger(const MoeModel& model,
                          const Accelerator& accelerator,
                          const ShardingPlan& plan,
                          const std::vector<Batch>& batches,
                          Bytes exchange_buffers) {
  MemoryLedger ledger;
  ledger.capacity = accelerator.memory;
  const std::vector<SlotCount> slots = count_slots(model, plan);
  const std::vector<WorkingSet> sets = largest_sets(model, plan, batches);
  const Bytes expert = expert_bytes(model, plan);
  RankMemory common;
  common.by_kind.resize(kMemoryKinds);
  of(common, MemoryKind::dense_weights) = dense_weight_bytes(model, plan);
  of(common, MemoryKind::shared_experts) = shared_expert_bytes(model, plan);
  of(common, MemoryKind::exchange_buffers) = exchange_buffers;
  of(common, MemoryKind::runtime) = runtime_bytes();
  for (int rank = 0; rank < plan.parallelism.ranks; ++rank) {
    const auto slot = slots[static_cast<std::size_t>(rank % plan.parallelism.expert)];
    const auto& set = sets[static_cast<std::size_t>(rank / plan.parallelism.tensor)];
    RankMemory memory = common;
    of(memory, MemoryKind::routed_experts) = static_cast<double>(slot.first) * expert;
    of(memory, MemoryKind::redundant_experts) = static_cast<double>(slot.redundant) * expert;
    of(memory, MemoryKind::kv_cache) = set.kv_cache;
    of(memory, MemoryKind::activations) = set.activations;
    if (rank == 0 ||
        memory.total() > ledger.ranks[static_cast<std::size_t>(ledger.worst_rank)].total()) {
      ledger.worst_rank = rank;
    }
    ledger.ranks.push_back(std::move(memory));
  }
  const RankMemory& worst = ledger.ranks.at(static_cast<std::size_t>(ledger.worst_rank));
  ledger.headroom = ledger.capacity - worst.total();
  ledger.fits = ledger.headroom >= Bytes(0);
  ledger.breaking = first_over(worst, ledger.capacity);
  ledger.verdict = describe(ledger, {model, plan, batches});
  return ledger;
}

}  // namespace moesim
