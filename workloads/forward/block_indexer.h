// MiniMax-M3's block-sparse attention (transformers 5.x modular_minimax_m3_vl.py,
// MiniMaxM3VLIndexer): index queries of a few heads against index keys of one; a block of
// neighbouring keys scores its best key; each index head, which stands for a group of attention
// heads, keeps the best blocks.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/key_selection.h"
#include "workloads/forward/rope.h"

namespace moesim {

struct BlockIndexerParameters {
  std::int64_t hidden = 0, heads = 0, head_dim = 0;
  std::int64_t block_size = 0, top_k = 0;  // keys a block, blocks a query
  // Always kept: the query's own block and those before it, and the first of the sequence.
  std::int64_t local_blocks = 0, first_blocks = 0;
  float norm_epsilon = 0, norm_offset = 0;  // of the norms over query and key heads
};

// Tensors <prefix>index_{q,k}_proj.weight and index_{q,k}_norm.weight. `rope` rotates the first of
// its dims of every index head, as it does the attention's.
std::shared_ptr<const KeySelector> load_block_indexer(const BlockIndexerParameters& parameters,
                                                      std::shared_ptr<Rope> rope,
                                                      const Checkpoint& weights,
                                                      const std::string& prefix);

}  // namespace moesim
