// Pieces of attention's work that its kinds share. Formulas: docs/models.md, "Kernels".
#pragma once

#include <span>
#include <vector>

#include "sim/cost/kernel_work.h"

namespace moesim {

// Sums over the entries of one phase: new tokens, query-key pairs and cached tokens read.
struct PhaseWork {
  std::int64_t tokens = 0;
  double pairs = 0, attended = 0;
  double requests = 0;
};
PhaseWork phase_work(std::span<const BatchEntry> entries, Phase phase, const AttentionShape& shape);
// The same over entries that each stand for `ratio` tokens, at most `limit` of them a query (0:
// all). A query reads its own choice, so no more is read than there are pairs.
PhaseWork chosen_work(std::span<const BatchEntry> entries,
                      Phase phase,
                      std::int64_t limit,
                      std::int64_t ratio = 1);

// The attention kernel: `query_key` and `value` are elements of one head's dot products,
// cache_bytes what it reads of one cached token, io_values what one new token reads and writes
// beside that.
struct CoreShape {
  const char* kernel;
  double heads, query_key, value, cache_bytes, io_values;
};
const char* sparse_kernel(Phase phase);  // its name where queries read chosen tokens
KernelWork core_work(const PhaseWork& phase, const CoreShape& core);
// A decode phase and its kernel on one of `ranks` ranks that share out the cache.
KernelWork core_share(PhaseWork phase, CoreShape core, int ranks);

// Index heads score every cached key (or entry of `ratio` tokens) for every new token.
void add_index_scan(const AttentionInputs& in,
                    std::span<const BatchEntry> entries,
                    std::int64_t ratio,
                    std::vector<KernelWork>& works);

// What a kind adds to a layer's norm; `tokens` are the new tokens of all entries.
struct AttentionTokens {
  std::span<const BatchEntry> entries;
  std::int64_t tokens = 0;
};
void add_grouped_query(const AttentionInputs& in,
                       const AttentionTokens& tokens,
                       std::vector<KernelWork>& works);
void add_latent(const AttentionInputs& in,
                const AttentionTokens& tokens,
                std::vector<KernelWork>& works);
void add_compressed(const AttentionInputs& in,
                    const AttentionTokens& tokens,
                    std::vector<KernelWork>& works);
void add_recurrent(const AttentionInputs& in,
                   const AttentionTokens& tokens,
                   std::vector<KernelWork>& works);

}  // namespace moesim
