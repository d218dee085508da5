// What steps mean to a request: time per output token, time to first token.
#pragma once

#include <vector>

#include "sim/plan/batch.h"
#include "sim/result/result.h"

namespace moesim {

// Adds to result.metrics, with the band and basis of step_time:
// - decode "time_per_output_token": mean step over the tokens a request gets in one
// - prefill "time_to_first_token": mean over the requests whose last chunk lies in these steps, or
//   all where none ends before the last step: the steps from their first chunk to their last;
//   queueing and sampling are not in it
// `step_seconds`: of the first steps of `batches`; nothing is added when there are none.
void add_request_times(const std::vector<Batch>& batches,
                       const std::vector<double>& step_seconds,
                       PointResult& result);

}  // namespace moesim
