// DeepSeek-V4's attention (arXiv 2606.19348, section 2.3; transformers 5.x modeling_deepseek_v4.py,
// DeepseekV4Attention): one shared head that is key and value at once, a sliding window of it plus
// compressed entries of everything, a sink a head, and an output projection by groups of heads.
//
// Values carry their position's rotation, so the output is turned back by the query's: what a key
// adds depends on the distance alone.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/key_compressor.h"

namespace moesim {

// none: the window alone; heavy: all entries of long windows; sparse: entries of short, overlapping
// windows, of which a lightning indexer with a compressor of its own chooses the best.
enum class Compression { none, heavy, sparse };

struct CompressedAttentionParameters {
  std::int64_t hidden = 0, heads = 0, head_dim = 0, rotated_dim = 0;  // rotated: a head's last dims
  std::int64_t query_rank = 0, window = 0;
  std::int64_t output_groups = 1, output_rank = 0;  // groups of heads, size of each group's latent
  float norm_epsilon = 0;
  Compression compression = Compression::none;
  std::int64_t ratio = 1;  // tokens an entry
  std::int64_t index_heads = 0, index_head_dim = 0, index_top_k = 0;
};

// Tensors of the published checkpoint below <prefix> ("layers.<l>.attn."): wq_a, q_norm, wq_b, wkv,
// kv_norm, attn_sink, wo_a, wo_b; compressor.* and indexer.{wq_b,weights_proj,compressor.*} where
// there is compression. `rope` (pairs of neighbours) is that of the layer's kind.
std::unique_ptr<Mixer> load_compressed_attention(const CompressedAttentionParameters& parameters,
                                                 std::shared_ptr<Rope> rope,
                                                 const Checkpoint& weights,
                                                 const std::string& prefix);

}  // namespace moesim
