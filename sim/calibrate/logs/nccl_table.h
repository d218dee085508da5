// The text of nccl-tests: who ran, and the rows of the table.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "sim/calibrate/log_lines.h"

namespace moesim {

struct NcclRow {
  double bytes = 0, count = 0;  // columns "size" and "count"
  std::string type, redop;      // redop: "none" where the table has no such column
  double time_us = 0;           // out of place
  bool checked = false;         // "#wrong" printed, and 0
  Location where;
};

// One program's output.
struct NcclTable {
  std::string program;  // "alltoall_perf"; empty: neither a header nor a command line says
  std::set<int> ranks;
  std::multiset<std::string> hosts;  // one entry a rank
  std::set<std::string> devices;     // "NVIDIA H100 80GB HBM3"
  Location where;                    // of the first device line, else of the table
  std::vector<NcclRow> rows;
  bool ended = false;  // the average bandwidth below the table is there
};

// The tables of a log in order. InputError: a row that does not read, or wrong results.
std::vector<NcclTable> read_nccl_tables(const std::string& path, const std::string& text);

}  // namespace moesim
