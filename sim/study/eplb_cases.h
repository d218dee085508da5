// Cases of DeepSeek's EPLB with the answers of its own code, checked against ours.
#pragma once

#include <string>
#include <vector>

namespace moesim {

struct EplbCaseResult {
  std::string name;        // "case 3, hierarchical: 2 x 12 -> 16 slots"
  std::string difference;  // the first one, in words; empty = the case passes
};

// A file {"cases": [...]}, each with "weight" [layer][expert], "num_replicas", "num_groups",
// "num_nodes", "num_gpus" and the answers with stable sorting: "phy2log_stable" [layer][slot],
// "log2phy_stable" [layer][expert][replica], -1 = none, "logcnt_stable" [layer][expert]. InputError
// with file, line and key for keys that are missing and shapes that do not fit.
std::vector<EplbCaseResult> check_eplb_cases(const std::string& path);

}  // namespace moesim
