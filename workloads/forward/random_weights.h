// Weights drawn from a seed, for running an architecture at its full shapes without a checkpoint:
// any tensor exists, and none takes memory of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/forward/floats.h"
#include "workloads/forward/weight.h"

namespace moesim {

// Matrices are BF16 and normal with a standard deviation near 1 / sqrt(columns) (the nearest power
// of two), so that a product keeps the size of its input. Their rows are windows on one pool of
// values whose size is a prime: the rows of a tensor all begin at different places of the pool, and
// the hash of its name says where it starts. Rows of different tensors may be equal; rows of a
// tensor of fewer than 2 million rows never are.
class RandomWeights {
 public:
  explicit RandomWeights(std::uint64_t seed);

  // [rows][columns], or stored [columns][rows]; slice i of a fused tensor. InputError where a
  // stored row is longer than the pool allows (1 million elements).
  struct Shape {
    std::int64_t rows = 0, columns = 0, slice = 0;
    bool transposed = false;
  };
  Weight::Part matrix(const std::string& name, const Shape& shape) const;

  // Small tensors by what their names say: gains of norms and scales near 1, Mamba's A_log, dt_bias
  // and D as its initialisation draws them (arXiv 2312.00752, section 3.6), the rest near 0.
  Floats tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;

  // Integers below `limit`, different from each other within a row where that is possible.
  std::vector<std::int64_t> ids(const std::string& name,
                                const std::vector<std::int64_t>& shape,
                                std::int64_t limit) const;

 private:
  std::uint64_t seed_;
  std::vector<std::uint16_t> pool_;  // BF16
};

}  // namespace moesim
