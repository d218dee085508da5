// Times of each part of a model for one micro-batch of training, on one rank of its stage.
// Formulas: docs/models.md, "Training".
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cost/kernel_timer.h"
#include "sim/plan/all_to_all.h"
#include "sim/train/pass_time.h"
#include "sim/train/rank_parameters.h"
#include "sim/train/training_constants.h"
#include "sim/train/training_plan.h"

namespace moesim {

// Token copies of one MoE layer and micro-batch.
struct TrainingRouting {
  std::vector<std::uint32_t> rows;  // by expert of the rank with most
  double dropped = 0;               // share of copies that no expert has room for
  Seconds dispatch{}, combine{};
  Basis basis = Basis::exact;
  int sms = 0;          // held by the exchange's kernels; 0 = not known
  double slowdown = 1;  // of dispatch and combine together while kernels run beside them
};
// What an EP group exchanges of a micro-batch; buffers for just its tokens, SMs not set.
ExchangeShape micro_batch_shape(const MoeModel& model,
                                const TrainingPlan& plan,
                                int ranks_per_node);
TrainingRouting route_micro_batch(const MoeModel& model,
                                  const ClusterSpec& cluster,
                                  const TrainingPlan& plan);

// Forward and backward of a list of kernels: products twice (to inputs, to weights), attention and
// element-wise passes by the constants, all else once.
LayerPasses time_of_works(const std::vector<KernelWork>& works,
                          const KernelTimer& timer,
                          const TrainingConstants& constants,
                          Recompute recompute);

// model, cluster and plan must outlive the object.
class LayerTimes {
 public:
  LayerTimes(const MoeModel& model, const ClusterSpec& cluster, const TrainingPlan& plan);

  LayerPasses embedding() const;
  LayerPasses layer(const LayerShape& shape) const;
  LayerPasses head() const;  // with the loss
  LayerPasses mtp() const;   // the module's layer, its joining product and its head
  Basis basis() const { return basis_; }
  const TrainingRouting& routing() const { return routing_; }
  // Slower computation of a rank while an exchange runs on some of its SMs, over that without,
  // >= 1.
  double interference() const;

 private:
  std::vector<KernelWork> works_of(const LayerShape& shape) const;
  Seconds accumulation(const RankParameters& parameters) const;
  LayerPasses timed(const std::vector<KernelWork>& works) const;
  LayerPasses make_layer(const LayerShape& shape) const;

  const MoeModel& model_;
  const TrainingPlan& plan_;
  Accelerator accelerator_;
  KernelTimer timer_;
  TrainingConstants constants_;
  TrainingRouting routing_;
  Seconds tensor_gather_{}, tensor_reduce_{};
  mutable std::vector<std::pair<LayerShape, LayerPasses>> known_;
  mutable Basis basis_ = Basis::exact;
};

}  // namespace moesim
