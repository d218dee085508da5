// Qwen3-Next (transformers v4.57.1 modeling_qwen3_next.py): three Gated DeltaNet layers to one of
// gated attention, 512 small experts; some layers may be dense.
#include <algorithm>
#include <memory>

#include "workloads/forward/qwen_hybrid.h"

namespace moesim {
namespace {

DecoderLoader read_qwen3_next(ConfigReader& config) {
  QwenHybrid model = read_qwen_hybrid(config);
  model.delta.by_key_head = true;
  model.moe.router = read_softmax_router(config, true);
  model.is_moe = read_sparse_layers(config, model.frame.layers);
  model.dense_width = config.size_or("intermediate_size", 5632);
  return [model](const Checkpoint& weights) { return load_qwen_hybrid(model, weights); };
}

const Registered<Architecture> registered{
    "qwen3_next", "Qwen3-Next: Gated DeltaNet and gated attention", {read_qwen3_next}};

}  // namespace
}  // namespace moesim
