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

const GpuMemory& gpu_of(const std::vector<GpuMemory>& gpus, int rank) {
  return gpus.size() == 1 ? gpus[0] : gpus.at(static_cast<std::size_t>(rank));
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

std::vector<GpuMemory> gpu_memories(const Cluster& cluster) {
  if (cluster.by_node.empty()) return {{cluster.accelerator.name, cluster.accelerator.memory}};
  std::vector<GpuMemory> gpus;
  for (int rank = 0; rank < cluster.ranks(); ++rank) {
    const Accelerator& gpu = cluster.accelerator_of(Rank{rank});
    gpus.push_back({gpu.name, gpu.memory});
  }
  return gpus;
}

MemoryLedger build_ledger(const MoeModel& model,
                          const std::vector<GpuMemory>& gpus,
                          const ShardingPlan& plan,
                          const std::vector<Batch>& batches,
                          Bytes exchange_buffers) {
  MemoryLedger ledger;
  const std::vector<SlotCount> slots = count_slots(model, plan);
  const std::vector<WorkingSet> sets = largest_sets(model, plan, batches);
  const Bytes expert = expert_bytes(model, plan);
  RankMemory common;
  common.by_kind.resize(kMemoryKinds);
  of(common, MemoryKind::dense_weights) = dense_weight_bytes(model, plan);
  of(common, MemoryKind::shared_experts) = shared_expert_bytes(model, plan);
  of(common, MemoryKind::exchange_buffers) = exchange_buffers;
  of(common, MemoryKind::runtime) = runtime_bytes();
  bool first = true;
  for (int rank = 0; rank < plan.parallelism.ranks; ++rank) {
    if (plan.is_lost(Rank{rank})) {
      ledger.ranks.push_back({std::vector<Bytes>(kMemoryKinds)});
      continue;
    }
    const auto slot = slots[static_cast<std::size_t>(rank)];
    const auto& set = sets[static_cast<std::size_t>(rank / plan.parallelism.tensor)];
    RankMemory memory = common;
    of(memory, MemoryKind::routed_experts) = static_cast<double>(slot.first) * expert;
    of(memory, MemoryKind::redundant_experts) = static_cast<double>(slot.redundant) * expert;
    of(memory, MemoryKind::kv_cache) = set.kv_cache;
    of(memory, MemoryKind::activations) = set.activations;
    const Bytes capacity = gpu_of(gpus, rank).capacity, headroom = capacity - memory.total();
    if (first || headroom < ledger.headroom) {
      first = false;
      ledger.worst_rank = rank;
      ledger.headroom = headroom;
      ledger.capacity = capacity;
    }
    ledger.ranks.push_back(std::move(memory));
  }
  const RankMemory& worst = ledger.ranks.at(static_cast<std::size_t>(ledger.worst_rank));
  ledger.fits = ledger.headroom >= Bytes(0);
  ledger.breaking = first_over(worst, ledger.capacity);
  const auto other = [&](const GpuMemory& gpu) { return gpu.accelerator != gpus[0].accelerator; };
  const bool unlike = std::any_of(gpus.begin(), gpus.end(), other);
  ledger.verdict = describe(
      ledger,
      {model, plan, batches, unlike ? gpu_of(gpus, ledger.worst_rank).accelerator : std::string()});
  return ledger;
}

}  // namespace moesim
