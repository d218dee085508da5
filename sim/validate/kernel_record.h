// What the record kinds of kernels share: conditions in, one accelerator's time out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cost/expert_work.h"
#include "sim/cost/kernel_timer.h"
#include "sim/validate/prediction.h"

namespace moesim {

// How a record's `dtype` stores weights; mxfp8 as fp8, nvfp4 as mxfp4. InputError otherwise.
WeightFormat weight_format(const JsonNode& typed);
// "grouped_masked" or "grouped_contiguous"; InputError for any other part.
ExpertLayout layout_of(const JsonNode& typed);

// A part of a record that makes no sense: why, else "".
std::string kernel_refusal(const JsonNode& typed, const std::vector<std::string>& parts);

// `works` one after another on the record's accelerator. counted: FLOPs that a record's rate
// counts, 0 where it has none. at_line_rate is the datasheet's roofline, uniform is NaN.
struct TimedWorks {
  std::string what, conditions, note;
  std::vector<KernelWork> works;
  double counted = 0;
};
Prediction predict_kernels(const JsonNode& typed, const KernelTimer& timer, TimedWorks timed);
// The same for a time that is more than kernels.
void set_times(const JsonNode& typed, double counted, Prediction& prediction);

// Rows of each of `experts` experts where the mean is `rows`, drawn as DeepGEMM's test draws
// expected rows: between 0.7 and 1.3 of them, evenly, rounded down.
std::vector<std::uint32_t> spread_rows(double rows, int experts);

}  // namespace moesim
