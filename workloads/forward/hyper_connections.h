// Manifold-constrained hyper-connections (arXiv 2512.24880, section 4; transformers 5.x
// modeling_deepseek_v4.py, DeepseekV4HyperConnection): the residual stream is several streams wide;
// each part of a layer reads a weighted sum of them, and its result is spread over a doubly
// stochastic mix of them. A token's weights are made from its own streams.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/layers.h"

namespace moesim {

struct HyperParameters {
  std::int64_t hidden = 0, streams = 1;
  std::int64_t iterations = 20;  // of Sinkhorn and Knopp's normalisation
  float epsilon = 1e-6F;         // hc_eps: what keeps divisors and weights above zero
  float norm_epsilon = 1e-6F;
};

class HyperConnection {
 public:
  // Tensors <prefix>fn [(2 + streams) streams][streams * hidden], base and scale [3].
  HyperConnection(const HyperParameters& parameters,
                  const Checkpoint& weights,
                  const std::string& prefix);

  // What end() needs: by token how much of the part's result each stream takes, and the mix of the
  // streams, comb[from][to].
  struct Mix {
    Rows post, comb;  // [tokens][streams], [tokens][streams * streams]
  };
  // residual [tokens][streams * hidden] -> collapsed [tokens][hidden], the part's input.
  Mix begin(ThreadPool& pool, const ConstMatrix& residual, const Matrix& collapsed) const;
  // residual[to] = post[to] * change + sum over from of comb[from][to] * residual[from].
  void end(ThreadPool& pool,
           const Mix& mix,
           const ConstMatrix& change,
           const Matrix& residual) const;
  std::int64_t hidden() const { return parameters_.hidden; }

 private:
  HyperParameters parameters_;
  std::shared_ptr<const Weight> function_;
  Floats base_, scale_;
};

// A layer of one attention and one feed-forward part, each between its own connection's begin() and
// end(), its input normed.
struct HyperParts {
  HyperConnection attention_streams, ffn_streams;
  Norm attention_norm, ffn_norm;
  std::unique_ptr<Mixer> attention;
  std::unique_ptr<FeedForward> ffn;
};
std::unique_ptr<DecoderLayer> make_hyper_layer(HyperParts parts);

// The last collapse, before the final norm: tensors <prefix>fn [streams][streams * hidden], base
// [streams] and scale [1].
class HyperHead {
 public:
  HyperHead(const HyperParameters& parameters,
            const Checkpoint& weights,
            const std::string& prefix);
  void collapse(ThreadPool& pool, const ConstMatrix& residual, const Matrix& hidden) const;

 private:
  HyperParameters parameters_;
  std::shared_ptr<const Weight> function_;
  Floats base_, scale_;
};

// Every stream begins as a copy of the embedded row.
void spread_streams(const ConstMatrix& hidden, const Matrix& residual);

}  // namespace moesim
