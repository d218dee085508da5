// Time of each kernel by roofline: launch + max(FLOPs / (peak x efficiency), bytes / (bandwidth x
// efficiency)). Constants with sources: topologies/calibration/kernels.json. Formulas:
// docs/models.md, "Kernels".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/cost/expert_work.h"
#include "sim/cost/kernel_timer.h"
#include "sim/cost/part_work.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

// All costs are per rank and per layer. `tokens` are the new tokens the rank computes; none = zero
// cost. Tensor parallelism splits attention's heads and the head's columns; router, shared expert
// and dense feed-forward parts are replicated and work on the rank's share of the tokens. Formats
// fp8 and mxfp4 compute in fp8 where the accelerator has it, else in bf16; int4 in bf16. Mixing of
// hyper-connections is part of attention, router and dense_ffn, before whose norms it stands. The
// constructor throws InputError when the accelerator states no peak the model can compute in. Where
// a table of measured kernels reaches, its times come first. model and accelerator must outlive the
// object.
class KernelCosts {
 public:
  KernelCosts(const MoeModel& model,
              const Accelerator& accelerator,
              const Parallelism& parallelism,
              const Precision& precision,
              std::shared_ptr<const KernelTable> table = nullptr);

  KernelCost embedding(std::int64_t tokens) const;
  // Norm, projections, attention over each entry's context, output projection; heads split over TP.
  KernelCost attention(std::size_t layer, std::span<const BatchEntry> entries) const;
  KernelCost router(std::int64_t tokens) const;  // post-attention norm + gate + top-k
  // Grouped GEMMs of the rank's local physical experts: token copies of each (zero: its weights are
  // not read). A measured time of the same mean load is scaled by what the model says of the
  // copies as they are over copies spread evenly.
  KernelCost expert_ffn(std::span<const std::uint32_t> copies_by_local_expert,
                        ExpertLayout layout = ExpertLayout::masked) const;
  // In which an all-to-all of this name leaves the rows.
  ExpertLayout layout_after(const std::string& all_to_all) const;
  double sms() const { return timer_.sms(); }
  // With the projections into and out of the experts' latent width; zero cost when the model has
  // neither.
  KernelCost shared_expert(std::int64_t tokens) const;
  KernelCost dense_ffn(std::size_t layer, std::int64_t tokens) const;
  KernelCost head(std::int64_t tokens_with_output) const;

 private:
  std::optional<KernelCost> measured_attention(const AttentionInputs& inputs,
                                               std::span<const BatchEntry> entries) const;
  PartFormat dense_format() const;
  KernelCost sum(const std::vector<KernelWork>& works) const { return timer_.sum(works); }

  const MoeModel& model_;
  KernelTimer timer_;
  Parallelism parallelism_;
  Precision precision_;
};

}  // namespace moesim
