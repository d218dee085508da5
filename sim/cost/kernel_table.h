// Measured times of kernels from a user's CSV file; they come before the model where they reach.
// Columns: docs/calibration.md, "A table of kernels".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "sim/core/units.h"
#include "sim/cost/kernel_work.h"

namespace moesim {

// One measurement.
struct TableRow {
  std::string accelerator;  // its file's name; empty = any
  std::string kernel, precision;
  TablePoint point;
  Seconds time{};
};

class KernelTable {
 public:
  KernelTable() = default;
  // Of rows that measure the same, the shortest time counts.
  explicit KernelTable(const std::vector<TableRow>& rows);

  // Between measured points along both axes of `at`, linearly; nothing outside them.
  std::optional<Seconds> find(const std::string& accelerator,
                              const std::string& kernel,
                              const std::string& precision,
                              const TablePoint& point) const;

 private:
  using Line = std::map<double, Seconds>;  // by at[1]
  using Same = std::tuple<std::string, std::string, std::string, std::array<double, 3>>;
  std::map<Same, std::map<double, Line>> lines_;  // by at[0]
};

// The project's own columns, or those of aiconfigurator's gemm, moe and MLA tables. InputError with
// file, line and column: an unknown header, a kernel that is none, a number that is none or below
// 0, a row of another length, no row.
KernelTable load_kernel_table(const std::string& path);

}  // namespace moesim
