// What a scenario's "search" asks for: which plans to try, what they must keep, what counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

enum class SearchObjective { throughput, gpus };  // most tokens/s/GPU; fewest GPUs for a load

struct SearchSpec {
  SearchObjective objective = SearchObjective::throughput;
  double slowest_token = 0;  // s: limit of time_per_output_token (prefill: time_to_first_token); 0
                             // = none
  double load = 0;           // tokens/s of the whole pool that objective `gpus` must reach
  int budget = 500;          // plans tried at most, drawn from all where there are more
  std::uint64_t seed = 1;    // of that draw
  std::string over;          // JSON: the axes, as "vary" has them
};

//   "search": {"objective": "tokens_per_second_per_gpu" | "gpus", "over": {key: [values], ...},
//              "limit": "50 ms", "tokens_per_second": 50000, "budget": 500}
// InputError with the place for anything else; a file without "search" has nothing to search.
SearchSpec load_search(const std::string& path, const std::vector<std::string>& overrides);
SearchSpec load_search(const JsonNode& root);

}  // namespace moesim
