// The bake-off of plans as a table and sentences, for a terminal and for the page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

struct BakeOffRow {  // of a plan; means over its windows where not said otherwise
  std::string plan;
  double median_step = 0, worst_step = 0;  // s, of the windows
  double balancedness = 1, worst_layer = 1;
  double ranks_per_token = 0, nodes_per_token = 0;
  double nvlink_bytes = 0, nic_bytes = 0;  // of a step
  double headroom = 0;                     // B, of the fullest rank
  std::optional<double> moved_bytes;  // from the first point's plan; none where they are unlike
  double planning = 0;                // s, wall time; 0: not known
};

// Ranked, the shortest median step first. planning: by point, empty where it is not known.
std::vector<BakeOffRow> bake_off_rows(const StudyResult& study,
                                      const std::vector<double>& planning);

struct BakeOffTable {
  std::vector<std::string> heads;
  std::vector<std::vector<std::string>> rows;
};

BakeOffTable bake_off_table(const std::vector<BakeOffRow>& rows);

// The rows, duels and lines below as one JSON object, sizes in bytes and times in seconds, with
// what `measured` says in words.
std::string bake_off_json(const StudyResult& study,
                          const std::vector<double>& planning,
                          const std::vector<std::string>& measured);

// Who beats whom, how sure; then how the best differs from the plan before (or, where that is the
// best, the second from it).
std::vector<std::string> bake_off_lines(const StudyResult& study);

}  // namespace moesim
