// The decoder of DeepSeek-V3.2 and GLM-5: DeepSeek-V3's layers whose latent attention sees only the
// keys a lightning indexer chooses.
#pragma once

#include "workloads/forward/architecture.h"

namespace moesim {

// What the two classes take for absent keys, and where they differ.
struct SparseLatentClass {
  double norm_epsilon = 1e-6;
  std::int64_t groups = 1, kept_groups = 1;  // n_group, topk_group
  std::int64_t index_heads = 64;             // index_n_heads
  double rope_theta = 10000;
  bool index_interleaved = false;  // pairing of the indexer's rotation
  bool shares_choice = false;      // reads indexer_types and what they derive from
};

// Beside DeepSeek-V3's keys: index_n_heads, index_head_dim, index_topk, mlp_layer_types,
// layer_types ("deepseek_sparse_attention" only) and, where choices are shared, indexer_types
// ("full" or "shared"), index_topk_pattern ("F", "S"), index_topk_freq, index_skip_topk_offset.
DecoderLoader read_sparse_latent_decoder(ConfigReader& config, const SparseLatentClass& of_class);

}  // namespace moesim
