// Softmax attention over a key/value cache, shared by grouped-query and latent attention.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "workloads/forward/layers.h"

namespace moesim {

// Keys [positions][kv_heads * key_dim] and values [positions][kv_heads * value_dim] of one request.
struct KeyValueState : PartState {
  Floats keys, values;
};

struct HeadShape {
  std::int64_t heads = 0, kv_heads = 0;  // kv_heads divides heads
  std::int64_t key_dim = 0, value_dim = 0;
};

// Which keys a query sees, and what else enters its scores.
struct AttentionRules {
  bool causal = true;
  std::int64_t window = 0;  // itself and window - 1 tokens before it; 0 = all
  std::int64_t chunk = 0;   // only keys of its own chunk of positions (Llama 4); 0 = all
  // [heads]: a logit that takes part in the softmax and carries no value (gpt-oss); empty = none.
  std::span<const float> sinks;
  // Changes the scores of one query in place before the softmax: scores[i] belongs to the key at
  // first_key + i. Sets what is not to be seen to -infinity. Called on pool threads.
  std::function<void(
      std::int64_t head, std::int64_t position, std::int64_t first_key, std::span<float> scores)>
      adjust;
};

// One segment: queries [heads][segment.tokens][key_dim], rotated and scaled; out [segment.tokens]
// [heads * value_dim]. The state holds the new tokens' keys and values already (all of the
// encoder's when not causal).
void attend(ThreadPool& pool,
            const Segment& segment,
            const HeadShape& shape,
            const AttentionRules& rules,
            const float* queries,
            const KeyValueState& state,
            const Matrix& out);

}  // namespace moesim
