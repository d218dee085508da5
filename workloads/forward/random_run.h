// A forward pass with random weights at a configuration's full layer shapes: shows that an
// architecture runs, and what its layers cost, without a checkpoint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesim {

struct RandomRunRequest {
  // Transformer layers first .. end; end -1 chooses two: if there is such a pair among the first
  // layers one with a router and one without, else one pair with a router (2:4 rather than 0:2,
  // where hybrids have a layer of each kind).
  int first_layer = 0, end_layer = -1;
  int tokens = 16;  // of the one request that is prefilled
  std::uint64_t seed = 1;
  int threads = 0;
};

struct RandomLayerLoad {
  int layer = 0;
  std::int64_t token_copies = 0;  // routed to experts that compute
  std::int64_t experts_used = 0;  // with at least one token copy
  double max_over_mean = 0;       // of the experts' loads; 0 where nothing is routed
};

struct RandomRun {
  int first_layer = 0, end_layer = 0;
  int experts = 0, top_k = 0;
  std::vector<RandomLayerLoad> layers;  // by MoE layer
  bool finite = true;                   // the last token's logits are numbers
  double seconds = 0;                   // of the pass, without loading
};

// `path`: a config.json or a folder with one. Tokens are drawn from the seed; an encoder reads them
// and the decoder then runs its start token. InputError: what ForwardModel refuses, tokens below 1.
RandomRun run_random(const std::string& path, const RandomRunRequest& request);

}  // namespace moesim
