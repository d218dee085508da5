// The two exchanges tensor parallelism adds to each layer: the reduce-scatter (or allreduce) after
// attention and the all-gather before the next, between the ranks that share one DP rank's tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/plan/link_loads.h"

namespace moesim {

// Both move rows of 2 h bytes. reduce: each rank sends every other rank of its group its partial
// sums of that rank's tokens, or with TensorReduction::allreduce the group sums all of them on
// every rank (nccl_allreduce); gather: its own tokens to every other. Over a group of t ranks with
// n tokens that is n (t - 1) / t rows sent a rank when t divides n (docs/models.md, "Tensor
// parallelism").
class TensorExchanges {
 public:
  TensorExchanges(const StepInputs& inputs, const Batch& batch, const FabricPaths& paths);

  bool needed() const { return needed_; }             // tensor > 1
  const Exchange& reduce() const { return reduce_; }  // the same in every layer
  const Exchange& gather() const { return gather_; }
  const std::vector<std::uint32_t>& tokens_of_rank() const { return tokens_; }

 private:
  bool needed_;
  std::vector<std::uint32_t> tokens_;
  Exchange reduce_, gather_;
};

}  // namespace moesim
