// Work of a layer's parts beside attention and routed experts, and of the head. Formulas:
// docs/models.md, "Kernels".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cost/kernel_work.h"

namespace moesim {

// How a part's matrices are stored, what they compute in, and the ranks that split their width.
struct PartFormat {
  WeightFormat format = WeightFormat::bf16;
  std::string precision = "bf16";
  int ranks = 1;
};

// All for `tokens` tokens; none = no work.
std::vector<KernelWork> router_work(const MoeModel& model, std::int64_t tokens);
// With the projections into and out of the experts' latent width; none when the model has neither.
std::vector<KernelWork> shared_expert_work(const MoeModel& model,
                                           std::int64_t tokens,
                                           const PartFormat& format);
std::vector<KernelWork> dense_ffn_work(const MoeModel& model,
                                       const LayerShape& layer,
                                       std::int64_t tokens,
                                       const PartFormat& format);
// Norm, product with `columns` of the head, and two readings of the logits in f32: for the largest
// or the sum, and for the choice or the loss.
std::vector<KernelWork> head_work(const MoeModel& model, std::int64_t tokens, std::int64_t columns);

// A part reads a mixture of all residual streams and its output is added to each of them, mixed
// anew; the weights of the mixtures come from one product with the streams.
void add_stream_mixing(const MoeModel& model, std::int64_t tokens, std::vector<KernelWork>& works);

}  // namespace moesim
