// What one step does in each MoE layer of the trace: its exchanges, the experts' time, the load.
#pragma once

#include <vector>

#include "sim/plan/link_loads.h"
#include "sim/plan/routed_copies.h"
#include "sim/plan/step_graph.h"

namespace moesim {

struct MoeLayerWork {
  std::vector<Exchange> dispatch, combine;  // stages in order, most have one
  MoeLayerLoad load;  // layer still unset: several model layers may replay this trace layer
  std::vector<Seconds> expert_ffn;  // by rank
  int launches = 1;                 // kernels of that
  std::vector<Seconds> fetch;       // by rank: of weights from host memory; empty = none wait there
  Basis basis = Basis::datasheet;   // of expert_ffn
  std::int64_t routed_choices = 0;  // counted from the rows alone
};

// Shape of the exchanges of `inputs.plan` by one algorithm; M is the plan's, or the batch's largest
// tokens of a rank rounded up to 128.
ExchangeShape exchange_shape(const StepInputs& inputs,
                             const Batch& batch,
                             const AllToAllPart& algorithm);

struct TraceLayers {  // those of first .. last - 1 are worked on, of `all`
  std::size_t all = 0, first = 0, last = 0;
};

// By trace layer; what is not asked for is left empty. Layers are dealt to inputs.threads threads;
// each layer is counted by one thread in integers, so the result is the same for any number of
// them.
std::vector<MoeLayerWork> work_moe_layers(const StepInputs& inputs,
                                          const Batch& batch,
                                          const FabricPaths& paths,
                                          const TraceLayers& layers);

}  // namespace moesim
