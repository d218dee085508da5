// What the outputs of DeepEP tests/test_intranode.py and test_internode.py have in common.
#pragma once

#include <string>

#include "sim/calibrate/log_reader.h"

namespace moesim {

enum class DeepEpReach { one_node, several_nodes };

bool recognises_deepep_normal(const std::string& text, DeepEpReach reach);

// One figure for each dispatch type and the combine, taken from the "Best" lines, else from the
// fastest tuning lines. A time where the lines have one, else the bandwidth of NVLink (one node) or
// of RDMA (several). Errors as LogReader says.
BenchmarkLog read_deepep_normal(const std::string& path,
                                const std::string& text,
                                const LogConditions& given,
                                DeepEpReach reach);

}  // namespace moesim
