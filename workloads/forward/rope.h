// Rotary position embedding (docs/forward.md, "Rotary positions"): the frequency rules of the hub's
// configurations (transformers v4.57.1, modeling_rope_utils.py) and both pairings of its
// checkpoints.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

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

inline constexpr std::int64_t kLargestRopeDims = 1024;  // of a head

// plain; linear: positions divided by `factor`; dynamic_ntk: theta grows with the length beyond
// original_positions; yarn; llama3: long wavelengths stretched by `factor`; longrope (arXiv
// 2402.13753): a factor a pair, one list up to original_positions, another beyond.
enum class RopeKind { plain, linear, dynamic_ntk, yarn, llama3, longrope };

struct RopeParameters {
  std::int64_t dims = 0;  // rotated dimensions of a head, even
  double theta = 10000;
  bool interleaved = false;  // pairs are neighbours (x0, x1) instead of halves (x0, x[d/2])
  RopeKind kind = RopeKind::plain;
  double factor = 1;                                // linear, dynamic_ntk, llama3
  double original_positions = 0;                    // dynamic_ntk, llama3, longrope
  double low_frequency = 1, high_frequency = 1;     // llama3's low_freq_factor, high_freq_factor
  std::vector<double> short_factors, long_factors;  // longrope: [dims / 2] each
  double short_amplitude = 1, long_amplitude = 1;   // longrope: what cosines and sines are times
  std::optional<Yarn> yarn;
};

// rope_theta, and rope_scaling or rope_parameters with its "rope_type" or "type"; any other type,
// and a key that the type does not read, is refused.
RopeParameters read_rope(ConfigReader& config, std::int64_t dims, double default_theta);
// The same from a given object, where a configuration has one a kind of layer; null = plain.
RopeParameters read_rope_of(ConfigReader& config,
                            const std::optional<JsonNode>& node,
                            std::int64_t dims,
                            double theta);

// What DeepSeek multiplies the softmax scale by under YaRN: (0.1 mscale_all_dim ln(factor) + 1)^2.
double yarn_softmax_factor(const RopeParameters& parameters);

// Radians a position each pair turns, and what cosines and sines are multiplied by, in a call after
// which `length` positions are known.
struct RopeFrequencies {
  Floats radians;  // [dims / 2]
  float amplitude = 1;
};
RopeFrequencies rope_frequencies(const RopeParameters& parameters, std::int64_t length);

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
  void extend(std::int64_t end);

  bool interleaved_ = false;
  RopeFrequencies frequencies_;
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
  RopeParameters parameters_;
  std::map<std::int64_t, std::shared_ptr<RopeTable>>
      tables_;  // by the length that sets frequencies
};

}  // namespace moesim
