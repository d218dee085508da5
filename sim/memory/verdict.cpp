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

std::string fitting_sentence(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const double element = inputs.plan.precision.kv_cache == WeightFormat::fp8 ? 1 : 2;
  const int tensor = inputs.plan.parallelism.tensor;
  const double token = kv_bytes_per_token(inputs.model, tensor, element).value,
               state = state_bytes_per_request(inputs.model, tensor, element).value;
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

// The most leading entries of the rank's batch that fit, over all batches; "" when none does.
std::string fewer_requests(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const RankMemory& rank = fullest(ledger);
  const Bytes room =
      ledger.headroom + of(rank, MemoryKind::kv_cache) + of(rank, MemoryKind::activations);
  const auto group = static_cast<std::size_t>(ledger.worst_rank / inputs.plan.parallelism.tensor);
  std::size_t fitting = 0, largest = 0;
  bool any = false;
  for (const Batch& batch : inputs.batches) {
    if (group >= batch.by_rank.size()) continue;
    const std::vector<BatchEntry>& entries = batch.by_rank[group];
    std::size_t low = 0, high = entries.size();  // low fits; memory grows with every entry
    while (low < high) {
      const std::size_t middle = (low + high + 1) / 2;
      const auto end = entries.begin() + static_cast<std::ptrdiff_t>(middle);
      const WorkingSet set = working_set(inputs.model, inputs.plan, {entries.begin(), end});
      if (set.kv_cache + set.activations <= room) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    fitting = any ? std::min(fitting, low) : low;
    largest = std::max(largest, entries.size());
    any = true;
  }
  if (fitting == 0 || fitting >= largest) return "";
  return fmt::format("at most {} of its {} requests a step", fitting, largest);
}

std::string fewer_redundant(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const auto layers = static_cast<double>(inputs.model.moe_layers().size());
  const double slot = expert_bytes(inputs.model, inputs.plan).value * layers;
  const int redundant = inputs.plan.redundant_experts, ranks = inputs.plan.parallelism.expert;
  const double remaining = redundant - std::ceil(-ledger.headroom.value / slot) * ranks;
  if (redundant == 0 || remaining < 0) return "";
  return fmt::format("{:.0f} redundant experts in place of {}", remaining, redundant);
}

std::string larger_groups(const MemoryLedger& ledger, const VerdictInputs& inputs) {
  const RankMemory& rank = fullest(ledger);
  const Bytes room = ledger.headroom + of(rank, MemoryKind::routed_experts) +
                     of(rank, MemoryKind::redundant_experts);
  const auto layers = static_cast<double>(inputs.model.moe_layers().size());
  const double slot = expert_bytes(inputs.model, inputs.plan).value * layers;
  const auto slots = static_cast<int>(inputs.model.experts) + inputs.plan.redundant_experts;
  const Parallelism& now = inputs.plan.parallelism;
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
  for (const auto propose : {fewer_requests, fewer_redundant, larger_groups}) {
    const std::string alternative = propose(ledger, inputs);
    if (!alternative.empty()) alternatives.push_back(alternative);
  }
  const RankMemory& rank = fullest(ledger);
  const std::string what = fmt::format(
      "does not fit: {} needs {} of {}, {} too much; with {} ({}) it passes the capacity",
      rank_name(ledger, inputs), to_text(rank.total()), to_text(ledger.capacity),
      to_text(Bytes(-ledger.headroom.value)), to_text(ledger.breaking),
      to_text(of(rank, ledger.breaking)));
  if (alternatives.empty()) {
    return what +
           "; neither fewer requests, fewer redundant experts nor larger EP groups alone make it "
           "fit";
  }
  return fmt::format("{}; would fit: {}", what, fmt::join(alternatives, ", or "));
}

}  // namespace moesim
