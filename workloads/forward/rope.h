// Rotary position embedding (docs/models.md, "Rotary positions"): plain and YaRN frequencies, both
// pairings of the hub's checkpoints.
#pragma once

#include <cstdint>
#include <memory>
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

// Cosines and sines of the positions below a length.
class RopeTable {
 public:
  // Rotates `dims` floats in place for this position. Interleaved pairs come out as halves, as in
  // the hub's code; queries and keys alike, so their products do not change.
  void rotate(float* x, std::int64_t position) const;
  // Turns the other way, keeping the order in which rotate() leaves the pairs.
  void rotate_back(float* x, std::int64_t position) const;

 private:
  friend class Rope;
  bool interleaved_ = false;
  std::size_t half_ = 0;    // pairs
  Floats cosines_, sines_;  // [positions][half]
  std::int64_t positions_ = 0;
};

// The tables of one model (or of its layers of one kind); used by one run at a time.
class Rope {
 public:
  explicit Rope(const RopeParameters& parameters);

  // For a call after which `length` positions are known: frequencies that depend on the length
  // (dynamic NTK, LongRoPE) follow it. Earlier tables stay as they are.
  std::shared_ptr<const RopeTable> table(std::int64_t length);

 private:
  void extend(RopeTable& table, std::int64_t end) const;

  RopeParameters parameters_;
  Floats frequencies_;  // [dims / 2]
  float amplitude_ = 1;
  std::shared_ptr<RopeTable> table_;
};

}  // namespace moesim
