// Time of each kernel by roofline: launch + max(FLOPs / (peak x efficiency), bytes / (bandwidth x
// efficiency)). Constants with sources: topologies/calibration/kernels.json. Formulas:
// docs/models.md, "Kernels".
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sim/cluster/accelerator.h"
#include "sim/core/metric.h"
#include "sim/core/units.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

struct KernelCost {
  Flops flops;
  Bytes bytes;  // device memory traffic
  Seconds time{};
  Basis basis = Basis::datasheet;
};

// All costs are per rank and per layer. `tokens` are the new tokens the rank computes.
class KernelCosts {
 public:
  KernelCosts(const MoeModel& model,
              const Accelerator& accelerator,
              const Parallelism& parallelism,
              const Precision& precision);

  KernelCost embedding(std::int64_t tokens) const;
  // Norm, projections, attention over each entry's context, output projection; heads split over TP.
  KernelCost attention(std::size_t layer, std::span<const BatchEntry> entries) const;
  KernelCost router(std::int64_t tokens) const;  // post-attention norm + gate + top-k
  // Grouped GEMM of the rank's local physical experts: token copies of each (zero: its weights are
  // not read).
  KernelCost expert_ffn(std::span<const std::uint32_t> copies_by_local_expert) const;
  KernelCost shared_expert(std::int64_t tokens) const;  // zero cost when the model has none
  KernelCost dense_ffn(std::size_t layer, std::int64_t tokens) const;
  KernelCost head(std::int64_t tokens_with_output) const;

 private:
  struct Efficiency {
    double flops = 1, bandwidth = 1;
    Seconds launch{};
    Basis basis = Basis::datasheet;
  };
  KernelCost roofline(const std::string& kernel,
                      Flops flops,
                      Bytes bytes,
                      const std::string& precision) const;

  const MoeModel& model_;
  const Accelerator& accelerator_;
  Parallelism parallelism_;
  Precision precision_;
  std::map<std::string, Efficiency> efficiency_;
};

}  // namespace moesim
