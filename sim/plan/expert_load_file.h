// Expert load from a JSON file: [layer][logical expert], as load balancers are given it.
#pragma once

#include <string>
#include <vector>

namespace moesim {

// The file is the matrix itself, or an object that holds it as "loads", "weight" or "logical_count"
// (SGLang's recorder; with a third axis in front, of time, which is summed). Loads are finite and
// not below 0, all layers have as many experts, at least one of each. InputError with file, line
// and key.
std::vector<std::vector<double>> read_expert_load(const std::string& path);

}  // namespace moesim
