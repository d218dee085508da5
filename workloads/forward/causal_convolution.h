// The short depthwise convolution in front of recurrent parts: each channel mixes its last few
// tokens, then SiLU.
#pragma once

#include <cstdint>
#include <string>

#include "workloads/forward/layers.h"

namespace moesim {

class CausalConvolution {
 public:
  // Tensors <prefix>conv1d.weight [channels][1][kernel] and, where `bias`, conv1d.bias [channels].
  CausalConvolution(const Checkpoint& weights,
                    const std::string& prefix,
                    std::int64_t channels,
                    std::int64_t kernel,
                    bool bias);

  // What a request's next tokens need: the last kernel - 1 rows of x, zeros at first.
  Floats new_history() const;

  // out [tokens][channels] = silu(bias + sum over i of weight[i] x[token - kernel + 1 + i]), over
  // the pool; x and out [tokens][channels]. Then takes x's end into the history.
  void run(ThreadPool& pool, const ConstMatrix& x, Floats& history, const Matrix& out) const;

 private:
  void run_row(const ConstMatrix& x, const Floats& history, std::int64_t token, float* out) const;
  void keep_end(const ConstMatrix& x, Floats& history) const;

  std::int64_t channels_, kernel_;
  Floats weights_;  // [kernel][channels]
  Floats bias_;     // [channels]
  Floats ones_;     // [channels]
};

}  // namespace moesim
