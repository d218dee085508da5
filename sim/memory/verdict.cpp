// The ledger's sentence: how much is free, or what is too much and what would fit instead. Every
// alternative is computed for the fullest rank and proposed alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

Bytes of(const RankMemory& rank, MemoryKind kind) {
  return rank.by_kind[static_cast<std::size_t>(kind)];
}

const RankMemory& fullest(const MemoryLedger& ledger) {
  return ledger.ranks[static_cast<std::size_t>(ledger.worst_rank)];
}

std::string rank_name(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  return fmt::format("rank {}{}", ledger.worst_rank,
                     inputs.accelerator.empty() ? "" : " (" + inputs.accelerator + ")");
}

int stage_of(const MemoryLedger& ledger, const ShardingPlan& plan) {
  return ledger.worst_rank / plan.parallelism.stage_ranks();
}

std::size_t group_of(const MemoryLedger& ledger, const ShardingPlan& plan) {
  const Parallelism& ranks = plan.parallelism;
  return static_cast<std::size_t>(ledger.worst_rank % ranks.stage_ranks() / ranks.tensor);
}

double moe_layers_of_stage(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const auto layers =
      stage_layers(inputs.model, inputs.plan.parallelism, stage_of(ledger, inputs.plan))
          .of(inputs.model);
  return static_cast<double>(std::count_if(
      layers.begin(), layers.end(), [](const auto& layer) { return layer.ffn == FfnKind::moe; }));
}

std::string fitting_sentence(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const WeightFormat format = inputs.plan.precision.kv_cache;
  const int tensor = inputs.plan.parallelism.tensor;
  double token = 0, state = 0;
  for (const LayerShape& layer :
       stage_layers(inputs.model, inputs.plan.parallelism, stage_of(ledger, inputs.plan))
           .of(inputs.model)) {
    token += cache_bytes_per_token(layer.attention, tensor, format) /
             context_ranks(layer.attention, inputs.plan.parallelism);
    state += state_bytes(layer.attention, tensor, format == WeightFormat::fp8 ? 1 : 2).value;
  }
  std::string sentence = fmt::format("fits: {} is the fullest with {} of {}, {} free",
                                     rank_name(ledger, inputs), to_text(fullest(ledger).total()),
                                     to_text(ledger.capacity), to_text(ledger.headroom));
  // A model of recurrent layers alone keeps nothing a token.
  if (token > 0) {
    sentence += fmt::format(", room for {:.0f} more tokens of KV cache",
                            std::floor(ledger.headroom.value / token));
  }
  if (state > 0) {
    sentence +=
        fmt::format(" of the requests at hand ({} of state a further one)", to_text(Bytes(state)));
  }
  return sentence;
}

// What a set takes of the room that requests share: an engine's activations are those of its start,
// whatever the batch.
Bytes taken(const VerdictInputs& inputs, Bytes cache, Bytes activations) {
  return inputs.plan.memory.engine == ServingEngine::none ? cache + activations : cache;
}

// The most leading entries that fit into the room; memory grows with every entry.
std::size_t most_entries(const VerdictInputs& inputs,
                         const std::vector<BatchEntry>& entries,
                         int stage,
                         Bytes room) {
  std::size_t low = 0, high = entries.size();  // low fits
  while (low < high) {
    const std::size_t middle = (low + high + 1) / 2;
    const auto end = entries.begin() + static_cast<std::ptrdiff_t>(middle);
    const WorkingSet set = working_set(inputs.model, inputs.plan, {entries.begin(), end}, stage);
    if (taken(inputs, set.kv_cache, set.activations) <= room) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Over all batches; "" when none fits.
std::string fewer_requests(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const RankMemory& rank = fullest(ledger);
  const Bytes room = ledger.headroom + taken(inputs, of(rank, MemoryKind::kv_cache),
                                             of(rank, MemoryKind::activations));
  const std::size_t group = group_of(ledger, inputs.plan);
  const int stage = stage_of(ledger, inputs.plan);
  std::size_t fitting = 0, largest = 0;
  bool any = false;
  for (const Batch& batch : inputs.batches) {
    if (group >= batch.by_rank.size()) continue;
    const std::vector<BatchEntry>& entries = batch.by_rank[group];
    const std::size_t most = most_entries(inputs, entries, stage, room);
    fitting = any ? std::min(fitting, most) : most;
    largest = std::max(largest, entries.size());
    any = true;
  }
  if (fitting == 0 || fitting >= largest) return "";
  return fmt::format("at most {} of its {} requests a step", fitting, largest);
}

// " in step 2 of 8": the first whose cache or activations are what does not fit.
std::string breaking_step(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const RankMemory& rank = fullest(ledger);
  if (inputs.batches.size() < 2) return "";
  if (ledger.breaking != MemoryKind::kv_cache && ledger.breaking != MemoryKind::activations)
    return "";
  const Bytes room = ledger.headroom + of(rank, MemoryKind::kv_cache);
  const auto group = group_of(ledger, inputs.plan);
  for (std::size_t step = 0; step < inputs.batches.size(); ++step) {
    const auto& by_rank = inputs.batches[step].by_rank;
    if (group >= by_rank.size()) continue;
    const WorkingSet set =
        working_set(inputs.model, inputs.plan, by_rank[group], stage_of(ledger, inputs.plan));
    if (set.kv_cache > room)
      return fmt::format(" in step {} of {}", step + 1, inputs.batches.size());
  }
  return "";
}

std::string smaller_cache(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  if (inputs.plan.precision.kv_cache == WeightFormat::fp8) return "";
  ShardingPlan plan = inputs.plan;
  plan.precision.kv_cache = WeightFormat::fp8;
  const int stage = stage_of(ledger, plan);
  const std::size_t group = group_of(ledger, plan);
  Bytes cache;
  for (const Batch& batch : inputs.batches) {
    if (group < batch.by_rank.size())
      cache =
          std::max(cache, working_set(inputs.model, plan, batch.by_rank[group], stage).kv_cache);
  }
  const Bytes freed = of(fullest(ledger), MemoryKind::kv_cache) - cache;
  if (ledger.headroom + freed < Bytes(0)) return "";
  return fmt::format("an fp8 KV cache, which frees {}", to_text(freed));
}

std::string larger_fraction(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const EngineMemory& memory = inputs.plan.memory;
  const Bytes reserve = of(fullest(ledger), MemoryKind::engine_reserve);
  if (ledger.headroom + reserve < Bytes(0) || memory.fraction == 0) return "";
  if (memory.engine != ServingEngine::vllm && memory.engine != ServingEngine::sglang) return "";
  // In steps of a hundredth, as fractions are given.
  const Bytes shown = (1 - runtime_memory().driver_share) * ledger.capacity,
              kept = (1 - memory.fragmentation) * shown;
  const double wanted = memory.fraction + Bytes(-ledger.headroom.value) / kept,
               stated = std::ceil(wanted * 100) / 100;
  if (stated > 1 || (stated - memory.fraction) * shown > reserve) return "";
  return fmt::format("a memory fraction of {:.2f} in place of {:.2f}", stated, memory.fraction);
}

std::string fewer_redundant(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const double slot =
      expert_bytes(inputs.model, inputs.plan).value * moe_layers_of_stage(ledger, inputs);
  const int redundant = inputs.plan.redundant_experts, ranks = inputs.plan.parallelism.expert;
  const double remaining = redundant - std::ceil(-ledger.headroom.value / slot) * ranks;
  if (redundant == 0 || remaining < 0) return "";
  return fmt::format("{:.0f} redundant experts in place of {}", remaining, redundant);
}

std::string larger_groups(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const Parallelism& now = inputs.plan.parallelism;
  if (now.pipeline > 1 || now.expert_tensor > 1) return "";
  const RankMemory& rank = fullest(ledger);
  const Bytes room = ledger.headroom + of(rank, MemoryKind::routed_experts) +
                     of(rank, MemoryKind::redundant_experts);
  const double slot =
      expert_bytes(inputs.model, inputs.plan).value * moe_layers_of_stage(ledger, inputs);
  const auto slots = static_cast<int>(inputs.model.experts) + inputs.plan.redundant_experts;
  for (int ranks = now.expert + 1; ranks <= slots; ++ranks) {
    const bool more_gpus = ranks > now.ranks;
    if (slots % ranks != 0 || (more_gpus ? ranks % now.tensor : now.ranks % ranks) != 0) continue;
    const int local = slots / ranks;
    if (local * slot > room.value) continue;
    return fmt::format("expert parallelism {} in place of {}{} with the same exchange buffers",
                       ranks, now.expert, more_gpus ? fmt::format(" on {} GPUs", ranks) : "");
  }
  return "";
}

}  // namespace

std::string describe(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  if (ledger.fits) return fitting_sentence(ledger, inputs);
  std::vector<std::string> alternatives;
  for (const auto propose :
       {fewer_requests, smaller_cache, larger_fraction, fewer_redundant, larger_groups}) {
    const std::string alternative = propose(ledger, inputs);
    if (!alternative.empty()) alternatives.push_back(alternative);
  }
  const RankMemory& rank = fullest(ledger);
  const std::string what = fmt::format(
      "does not fit: {} needs {} of {}, {} too much; with {} ({}) it passes the capacity{}",
      rank_name(ledger, inputs), to_text(rank.total()), to_text(ledger.capacity),
      to_text(Bytes(-ledger.headroom.value)), to_text(ledger.breaking),
      to_text(of(rank, ledger.breaking)), breaking_step(ledger, inputs));
  if (alternatives.empty()) {
    return what +
           "; neither fewer requests, fewer redundant experts nor larger EP groups alone make it "
           "fit";
  }
  return fmt::format("{}; would fit: {}", what, fmt::join(alternatives, ", or "));
}

}  // namespace moesim
