// DeepSeek sparse attention's lightning indexer (DeepSeek-V3.2-Exp report, section 2.1;
// transformers 5.x modeling_deepseek_v32.py and modeling_glm_moe_dsa.py): index keys of one head,
// index queries of several from the compressed queries, and the index_topk best keys a query.
//
// DeepSeek's own code turns index queries and keys by a Hadamard matrix and rounds them to FP8
// before the product. The turn is orthogonal and leaves products as they are; the rounding is not
// modelled, so a choice between nearly equal keys may differ from that code's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/key_selection.h"
#include "workloads/forward/rope.h"

namespace moesim {

struct IndexerParameters {
  std::int64_t hidden = 0, query_rank = 0;  // of the attention's compressed queries
  std::int64_t heads = 0, head_dim = 0, top_k = 0;
  RopeParameters rope;  // its first dims are rotated; the pairing may differ from the attention's
};

// The choice of the last layer that ran an indexer: layers without one take it over (GLM-5).
using LastChoice = std::vector<KeyMask>;

// Tensors <prefix>wq_b.weight, wk.weight, k_norm.weight and .bias, weights_proj.weight. Leaves its
// choice in `last` unless that is null.
std::shared_ptr<const KeySelector> load_lightning_indexer(const IndexerParameters& parameters,
                                                          std::shared_ptr<Rope> rope,
                                                          std::shared_ptr<LastChoice> last,
                                                          const Checkpoint& weights,
                                                          const std::string& prefix);

// Takes over the choice in `last`.
std::shared_ptr<const KeySelector> make_shared_choice(std::shared_ptr<const LastChoice> last);

}  // namespace moesim
