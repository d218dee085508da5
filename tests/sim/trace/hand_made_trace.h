// A trace small enough to count by hand, and a folder for the files of one test.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "sim/trace/routing_trace.h"
#include "tests/temporary_folder.h"

namespace moesim {

// 4 experts, top-2, MoE layers 1 and 3. Requests 7 (rows 0-3, domain code) and 9 (rows 4-5, domain
// prose, decode).
inline TraceColumns hand_made_columns() {
  TraceColumns columns;
  columns.header = {1, "hand", 4, 2, {1, 3}, "forward", 42, {"code", "prose"}, "", {}};
  columns.experts = {0, 1,          2, 3,  //
                     0, 1,          2, 3,  //
                     0, 2,          2, 1,  //
                     1, 0,          3, 2,  //
                     3, 2,          0, 1,  //
                     3, kNotRouted, 0, 2};
  columns.weights.assign(columns.experts.size(), 0x3800);  // 0.5
  columns.request = {7, 7, 7, 7, 9, 9};
  columns.position = {0, 1, 2, 3, 0, 1};
  columns.step = {0, 0, 0, 0, 1, 2};
  columns.domain = {0, 0, 0, 0, 1, 1};
  columns.phase = {0, 0, 0, 0, 1, 1};
  return columns;
}

}  // namespace moesim
