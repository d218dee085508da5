// T5's attention (arXiv 1910.10683, section 2.1; transformers v4.57.1
// modeling_switch_transformers.py, SwitchTransformersAttention): scores are not scaled, positions
// enter as a learned bias by bucketed distance. Also its cross attention, which reads the encoder's
// output and has no bias.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "workloads/forward/attention.h"

namespace moesim {

// Which bucket a distance (key position - query position) falls into: half of the buckets hold one
// distance each, the others grow by powers up to `max_distance`, behind which all share the last.
// Bidirectional: keys behind and before the query have half of the buckets each; otherwise keys
// behind the query share bucket 0 with the query itself.
struct BucketParameters {
  std::int64_t buckets = 32, max_distance = 128;
  bool bidirectional = false;
};
std::int64_t relative_bucket(const BucketParameters& parameters, std::int64_t distance);

// The biases of one stack, expanded by distance.
class RelativeBias {
 public:
  // table [buckets][heads], as the checkpoint stores it.
  RelativeBias(const BucketParameters& parameters, std::int64_t heads, const Weight& table);

  // scores[i] += bias of the key at first_key + i for the query at `position`.
  void add(std::int64_t head,
           std::int64_t position,
           std::int64_t first_key,
           std::span<float> scores) const;

 private:
  std::int64_t reach_ = 0;  // distances beyond +- reach_ have the bias at it
  Floats by_distance_;      // [heads][2 * reach_ + 1]
};

struct RelativeAttentionShape {
  std::int64_t hidden = 0, heads = 0, head_dim = 0;
};

// Self-attention: tensors <prefix>{q,k,v,o}.weight. All layers of a stack share `bias`.
std::unique_ptr<Mixer> load_relative_attention(const RelativeAttentionShape& shape,
                                               bool causal,
                                               std::shared_ptr<const RelativeBias> bias,
                                               const Checkpoint& weights,
                                               const std::string& prefix);

// Cross attention over Segment::encoded, the same tensors. Keys and values of the encoder's output
// are made at a request's first step and kept.
std::unique_ptr<Mixer> load_cross_attention(const RelativeAttentionShape& shape,
                                            const Checkpoint& weights,
                                            const std::string& prefix);

}  // namespace moesim
