// Causal softmax attention over a key/value cache, shared by grouped-query and latent attention.
#pragma once

#include <cstdint>

#include "workloads/forward/layers.h"

namespace moesim {

// Keys [positions][kv_heads * key_dim] and values [positions][kv_heads * value_dim] of one request.
struct KeyValueState : AttentionState {
  Floats keys, values;
};

struct HeadShape {
  std::int64_t heads = 0, kv_heads = 0;  // kv_heads divides heads
  std::int64_t key_dim = 0, value_dim = 0;
};

// queries [heads][tokens][key_dim], already rotated and scaled; out [tokens][heads * value_dim].
// The state holds the new tokens' keys and values already.
void attend(const ForwardStep& step,
            const HeadShape& shape,
            const float* queries,
            const KeyValueState& state,
            const Matrix& out);

}  // namespace moesim
