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

// What an engine runs at start to see how large activations grow.
std::vector<BatchEntry> start_entries(const EngineMemory& memory) {
  std::vector<BatchEntry> entries(static_cast<std::size_t>(memory.max_requests));
  int left = memory.prefill_chunk;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].phase = Phase::prefill;
    entries[i].new_tokens = left / static_cast<int>(entries.size() - i);
    left -= entries[i].new_tokens;
  }
  return entries;
}

// Each data-parallel rank's largest cache and largest activations over the batches, in one stage.
std::vector<WorkingSet> largest_sets(const MoeModel& model,
                                     const ShardingPlan& plan,
                                     const std::vector<Batch>& batches,
                                     int stage) {
  WorkingSet least;
  if (plan.memory.engine != ServingEngine::none)
    least.activations = activations_together(model, plan, start_entries(plan.memory), stage);
  std::vector<WorkingSet> sets(static_cast<std::size_t>(plan.parallelism.data()), least);
  for (const Batch& batch : batches) {
    for (std::size_t group = 0; group < sets.size() && group < batch.by_rank.size(); ++group) {
      const WorkingSet set = working_set(model, plan, batch.by_rank[group], stage);
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

// What every rank of a stage holds alike.
RankMemory common_memory(const MoeModel& model, const ShardingPlan& plan, int stage) {
  RankMemory common;
  common.by_kind.resize(kMemoryKinds);
  of(common, MemoryKind::dense_weights) = dense_weight_bytes(model, plan, stage);
  of(common, MemoryKind::shared_experts) = shared_expert_bytes(model, plan, stage);
  if (plan.memory.mtp && stage + 1 == plan.parallelism.pipeline)
    of(common, MemoryKind::mtp_weights) = mtp_weight_bytes(model, plan);
  return common;
}

// Fills what follows from the rest and the GPU; returns the room for the cache.
Bytes close_rank(const ShardingPlan& plan, Bytes capacity, RankMemory& rank) {
  of(rank, MemoryKind::runtime) = runtime_memory().bytes(capacity, plan.parallelism.ranks > 1);
  const Bytes cache = of(rank, MemoryKind::kv_cache);
  const double lost = plan.memory.fragmentation;
  if (plan.memory.engine == ServingEngine::none) {
    of(rank, MemoryKind::fragmentation) = lost * capacity;
    return capacity - rank.total() + cache;
  }
  of(rank, MemoryKind::kv_cache) = Bytes(0);
  const Bytes room = pool_bytes(rank, capacity, plan), fragments = std::max(Bytes(0), lost * room);
  of(rank, MemoryKind::engine_reserve) = capacity - rank.total() - room;
  of(rank, MemoryKind::fragmentation) = fragments;
  of(rank, MemoryKind::kv_cache) = cache;
  return room - fragments;
}

}  // namespace

std::string to_text(MemoryKind kind) {
  constexpr std::array<const char*, kMemoryKinds> names{
      "dense weights", "shared experts", "routed experts",   "redundant experts",
      "KV cache",      "activations",    "exchange buffers", "runtime",
      "MTP weights",   "fragmentation",  "engine reserve"};
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
  const Bytes expert = expert_bytes(model, plan);
  const Parallelism& ranks = plan.parallelism;
  RankMemory common;
  std::vector<WorkingSet> sets;
  bool first = true;
  for (int rank = 0; rank < ranks.ranks; ++rank) {
    const int in_stage = rank % ranks.stage_ranks(), stage = rank / ranks.stage_ranks();
    if (in_stage == 0) {
      common = common_memory(model, plan, stage);
      of(common, MemoryKind::exchange_buffers) = exchange_buffers;
      sets = largest_sets(model, plan, batches, stage);
    }
    if (plan.is_lost(Rank{rank})) {
      ledger.ranks.push_back({std::vector<Bytes>(kMemoryKinds)});
      continue;
    }
    const auto slot = slots[static_cast<std::size_t>(rank)];
    const auto& set = sets[static_cast<std::size_t>(in_stage / ranks.tensor)];
    RankMemory memory = common;
    // What is fetched from host memory lands in one more slot, of all layers.
    const int landing = plan.resident_experts > 0 ? 1 : 0;
    of(memory, MemoryKind::routed_experts) = static_cast<double>(slot.first + landing) * expert;
    of(memory, MemoryKind::redundant_experts) = static_cast<double>(slot.redundant) * expert;
    of(memory, MemoryKind::kv_cache) = set.kv_cache;
    of(memory, MemoryKind::activations) = set.activations;
    const Bytes capacity = gpu_of(gpus, rank).capacity, room = close_rank(plan, capacity, memory),
                headroom = capacity - memory.total();
    if (first || headroom < ledger.headroom) {
      first = false;
      ledger.worst_rank = rank;
      ledger.headroom = headroom;
      ledger.capacity = capacity;
      ledger.cache_room = room;
    }
    ledger.ranks.push_back(std::move(memory));
  }
  const RankMemory& worst = ledger.ranks.at(static_cast<std::size_t>(ledger.worst_rank));
  ledger.fits = ledger.headroom >= Bytes(0);
  // An engine makes its pool last, of what all else leaves.
  const bool pool = plan.memory.engine != ServingEngine::none && ledger.cache_room >= Bytes(0);
  ledger.breaking = pool ? MemoryKind::kv_cache : first_over(worst, ledger.capacity);
  const auto other = [&](const GpuMemory& gpu) { return gpu.accelerator != gpus[0].accelerator; };
  const bool unlike = std::any_of(gpus.begin(), gpus.end(), other);
  ledger.verdict = describe(
      ledger,
      {model, plan, batches, unlike ? gpu_of(gpus, ledger.worst_rank).accelerator : std::string()});
  return ledger;
}

}  // namespace moesim
