// GLM-5 (transformers 5.x modular_glm_moe_dsa.py, commit 01f8fa55): DeepSeek-V3.2's layers; the
// indexer rotates neighbouring pairs, and layers may take over the choice of the last one that ran
// an indexer (arXiv 2603.12201). No golden vectors: checked as deepseek_v32 is.
#include "workloads/forward/sparse_latent_decoder.h"

namespace moesim {
namespace {

DecoderLoader read_glm_moe_dsa(ConfigReader& config) {
  SparseLatentClass of_class;
  of_class.norm_epsilon = 1e-5;
  of_class.index_heads = 32;
  of_class.index_interleaved = true;
  of_class.shares_choice = true;
  return read_sparse_latent_decoder(config, of_class);
}

const Registered<Architecture> registered{
    "glm_moe_dsa", "GLM-5: latent attention over indexed keys", {read_glm_moe_dsa}};

}  // namespace
}  // namespace moesim
