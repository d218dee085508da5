// Rotary position embedding (docs/models.md, "Rotary positions"): plain and YaRN frequencies, both
// pairings of the hub's checkpoints.
#pragma once

#include <cstdint>
#include <optional>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/floats.h"

namespace moesim {

// YaRN (arXiv 2309.00071, section 3.3) as the hub's configurations spell it.
struct Yarn {
  double factor = 1, beta_fast = 32, beta_slow = 1;
  double original_positions = 0;
  double mscale = 0, mscale_all_dim = 0;  // 0 = not given
  std::optional<double> attention_factor;
  bool truncate = true;
};

struct RopeParameters {
  std::int64_t dims = 0;  // rotated dimensions of a head, even
  double theta = 10000;
  bool interleaved = false;  // pairs are neighbours (x0, x1) instead of halves (x0, x[d/2])
  std::optional<Yarn> yarn;
};

// rope_theta, and rope_scaling or rope_parameters: absent, default or yarn; others are refused.
RopeParameters read_rope(ConfigReader& config, std::int64_t dims, double default_theta);

// What DeepSeek multiplies the softmax scale by under YaRN: (0.1 mscale_all_dim ln(factor) + 1)^2.
double yarn_softmax_factor(const RopeParameters& parameters);

class Rope {
 public:
  explicit Rope(const RopeParameters& parameters);

  // Makes positions below `end` known; call before rotate, from one thread.
  void extend(std::int64_t end);

  // Rotates `dims` floats in place for this position. Interleaved pairs come out as halves, as in
  // the hub's code; queries and keys alike, so their products do not change.
  void rotate(float* x, std::int64_t position) const;

 private:
  RopeParameters parameters_;
  Floats frequencies_;  // [dims / 2]
  float amplitude_ = 1;
  Floats cosines_, sines_;  // [positions][dims / 2]
  std::int64_t positions_ = 0;
};

}  // namespace moesim
