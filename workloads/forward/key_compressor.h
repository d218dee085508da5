// DeepSeek-V4's compressed keys (arXiv 2606.19348, sections 2.3.1 and 2.3.2; transformers 5.x
// modeling_deepseek_v4.py): every window of `ratio` tokens becomes one entry, a mean of their
// projections whose weights are a softmax over the window, channel by channel.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/layers.h"
#include "workloads/forward/rope.h"

namespace moesim {

struct CompressorParameters {
  std::int64_t hidden = 0, head_dim = 0, ratio = 1;
  std::int64_t rotated_dim = 0;  // at the end of an entry, turned by its window's first position
  // Each token has two projections: one for its own window's entry, one for the next window's, so
  // that an entry is made of 2 * ratio tokens.
  bool overlapping = false;
  float norm_epsilon = 0;
};

// Entries of one request, and the projections that entries to come still need.
struct CompressorState : PartState {
  Floats entries;  // [windows][head_dim]
  Floats raw;      // [positions from first_raw][2 * width]: projections, then gates
  std::int64_t first_raw = 0;
};

class KeyCompressor {
 public:
  // Tensors <prefix>wkv.weight, wgate.weight [width][hidden], ape [ratio][width] and norm.weight
  // [head_dim]; width = head_dim, twice when overlapping.
  KeyCompressor(const CompressorParameters& parameters,
                const Checkpoint& weights,
                const std::string& prefix);

  // [tokens][2 * width] of a whole step.
  Rows project(const ForwardStep& step, const ConstMatrix& x) const;
  // Takes in one segment's projected rows: afterwards there is an entry for every full window.
  void append(ThreadPool& pool,
              const Segment& segment,
              const ConstMatrix& projected,
              const RopeTable& table,
              CompressorState& state) const;

 private:
  void compress(std::int64_t window, const CompressorState& state, float* entry) const;

  CompressorParameters parameters_;
  std::int64_t width_ = 0;
  std::shared_ptr<const Weight> projections_;  // kv over gates
  Floats bias_;                                // [ratio][width]
  Norm norm_;
};

}  // namespace moesim
