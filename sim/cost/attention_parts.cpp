// Pairs, reads and index scans of attention.
#include "sim/cost/attention_parts.h"

#include <algorithm>

namespace moesim {

PhaseWork phase_work(std::span<const BatchEntry> entries,
                     Phase phase,
                     const AttentionShape& shape) {
  PhaseWork sum;
  for (const BatchEntry& entry : entries) {
    if (entry.phase != phase) continue;
    sum.tokens += entry.new_tokens;
    sum.requests += 1;
    sum.pairs += attention_pairs(entry, shape);
    sum.attended += attended_tokens(shape, entry.context, entry.new_tokens);
  }
  return sum;
}

PhaseWork chosen_work(std::span<const BatchEntry> entries,
                      Phase phase,
                      std::int64_t limit,
                      std::int64_t ratio) {
  PhaseWork sum;
  const auto of_tokens = static_cast<double>(ratio);
  for (const BatchEntry& entry : entries) {
    if (entry.phase != phase) continue;
    sum.tokens += entry.new_tokens;
    sum.requests += 1;
    const double pairs = attention_pairs(entry, limit * ratio) / of_tokens;
    const double all = attended_tokens(0, entry.context, entry.new_tokens) / of_tokens;
    sum.pairs += pairs;
    sum.attended += std::min(all, pairs);
  }
  return sum;
}

const char* sparse_kernel(Phase phase) {
  return phase == Phase::decode ? "attention_sparse_decode" : "attention_sparse_prefill";
}

KernelWork core_work(const PhaseWork& phase, const CoreShape& core) {
  const double flops = 2 * core.heads * phase.pairs * (core.query_key + core.value);
  const double bytes =
      phase.attended * core.cache_bytes + 2.0 * static_cast<double>(phase.tokens) * core.io_values;
  KernelWork work{core.kernel, Flops(flops), Bytes(bytes), "bf16"};
  const auto tokens = static_cast<double>(phase.tokens);
  const bool decode = tokens == phase.requests, whole_prompts = tokens == phase.attended;
  if (decode || whole_prompts)  // else requests and tokens do not tell the pairs
    work.point = {{core.heads, core.query_key + core.value, core.cache_bytes},
                  {phase.requests, phase.attended / phase.requests}};
  return work;
}

KernelWork core_share(PhaseWork phase, CoreShape core, int ranks) {
  phase.pairs /= ranks;
  phase.attended /= ranks;
  core.io_values += (ranks - 1) * core.heads * (core.query_key + core.value);
  core.heads *= ranks;
  return core_work(phase, core);
}

void add_index_scan(const AttentionInputs& in,
                    std::span<const BatchEntry> entries,
                    std::int64_t ratio,
                    std::vector<KernelWork>& works) {
  const auto heads = static_cast<double>(in.shape.index_heads),
             dim = static_cast<double>(in.shape.index_head_dim);
  for (const Phase phase : {Phase::decode, Phase::prefill}) {
    const PhaseWork scan = chosen_work(entries, phase, 0, ratio);
    if (scan.tokens == 0) continue;
    // Each pair makes one f32 score, written and read again by the choice of the largest.
    const double score_bytes = 8 * scan.pairs;
    const double io = 2.0 * static_cast<double>(scan.tokens) * heads * dim;
    works.push_back({"index_scan", Flops(2 * heads * dim * scan.pairs),
                     Bytes(scan.attended * dim * in.kv_bytes + score_bytes + io), in.precision});
  }
}

}  // namespace moesim
