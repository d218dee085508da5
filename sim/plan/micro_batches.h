// Cuts a step's batch into micro-batches that can be on their way at the same time.
#pragma once

#include <vector>

#include "sim/plan/batch.h"

namespace moesim {

// `parts` batches of the same ranks and requests: the new tokens of every DP rank in order, cut
// into parts that differ by one token at most, the larger ones first. A prefill entry that lies
// across a cut goes on in the next part, with what the part before computed as its context. Cuts
// lie between multiples of `together` tokens: a decode entry's, where none may be cut.
std::vector<Batch> cut_batch(const Batch& batch, int parts, int together = 1);

// New tokens of the largest of those parts, and the entries of one DP rank that hold its first so
// many.
std::size_t largest_part(std::size_t tokens, int parts, int together = 1);
std::vector<BatchEntry> leading_entries(const std::vector<BatchEntry>& entries, std::size_t tokens);

}  // namespace moesim
