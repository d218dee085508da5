// What a step meets beside its requests: padding, the host's time, noise of its kernels.
#pragma once

#include <vector>

#include "sim/plan/batch.h"
#include "sim/plan/step_graph.h"

namespace moesim {

inline constexpr std::int32_t kPaddingRequest = -1;  // BatchEntry::request of what fills up

// Fills batches up, a rank's requests to a size; every padding token replays trace row `row`, as an
// engine's dummy tokens are all alike.
void pad_batches(const BatchPadding& padding, std::uint32_t row, std::vector<Batch>& batches);

// Sets Batch::host (lognormal) and Batch::noise, of each step anew.
void draw_conditions(const WorkloadSpec& workload, std::uint64_t seed, std::vector<Batch>& batches);

// Multiplies kernels by lognormal factors of mean 1 and states the difference in Task::noise.
// Exchanges and the host's tasks have none.
void add_noise(const KernelNoise& noise, StepGraph& graph);

}  // namespace moesim
