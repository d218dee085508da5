// The lines of DeepEP's normal tests: "[config]", "[tuning]", "[layout]".
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/log_lines.h"

namespace moesim {

// What a tuning line is about: one of a sweep, or the best of one.
enum class TuningPart { sweep, dispatch_fp8, dispatch_bf16, combine };

struct TuningLine {
  TuningPart part = TuningPart::sweep;
  int sms = 0, nvl_chunk = 0, rdma_chunk = 0;  // chunk 0: the library's default, or none
  double time_us = 0, notify_us = 0;           // 0: not printed
  double nvl_gbs = 0, rdma_gbs = 0;            // 0: not printed
  std::string source;                          // LogLine::source
  Location where;
};

struct ConfigLine {
  int tokens_per_rank = 0, hidden = 0, top_k = 0, groups_limit = 0, experts = 0;
  Location where;
  bool same_shape(const ConfigLine& other) const;
};

// What ran under one shape, in the order of the log.
struct TuningRun {
  ConfigLine config;  // tokens_per_rank 0: no such line before the first tuning line
  std::vector<TuningLine> lines;
  std::vector<double> layout_us;
};

std::vector<TuningRun> read_tuning_runs(const std::string& path, const std::string& text);

}  // namespace moesim
