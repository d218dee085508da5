// What steps mean to a request: time per output token, time to first token.
#pragma once

#include <vector>

#include "sim/plan/batch.h"
#include "sim/result/result.h"

namespace moesim {

// Steps that a prompt of `prompt_tokens` takes on a DP rank that computes `step_tokens` a step: it
// fills whole steps but for the last, and is in one at least.
// In a pipeline a step has a round a stage, each with its part of the step's tokens: the prompt's
// parts follow one another, and the last goes through all stages.
double prompt_steps(double prompt_tokens, double step_tokens, int stages = 1);

// Adds to result.metrics, with the band and basis of step_time:
// - decode "time_per_output_token": mean step over the tokens a request gets in one
// - prefill "time_to_first_token": prompt_steps x mean step, for `prompt_tokens`; queueing and
//   sampling are not in it
// Nothing is added where no step ran.
void add_request_times(const std::vector<Batch>& batches,
                       double prompt_tokens,
                       PointResult& result,
                       int stages = 1);

}  // namespace moesim
