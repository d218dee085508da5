// What a decoder is made of: the two kinds of part a layer holds, and the decoder an architecture
// builds from them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "workloads/forward/checkpoint.h"
#include "workloads/forward/forward.h"
#include "workloads/forward/products.h"
#include "workloads/forward/thread_pool.h"

namespace moesim {

// One pass of some new tokens of one request.
struct ForwardStep {
  ThreadPool& pool;
  std::int64_t first_position;  // tokens the cache holds already
  std::int64_t tokens;          // new tokens
};

// What an attention part remembers of one request.
struct AttentionState {
  virtual ~AttentionState() = default;
};

// x [tokens][hidden] is normalised; out [tokens][hidden] is what joins the residual stream.
class Attention {
 public:
  virtual ~Attention() = default;
  virtual std::unique_ptr<AttentionState> new_state() const = 0;
  // Appends the new tokens at first_position, dropping what a failed call may have left after it.
  virtual void run(const ForwardStep& step,
                   const ConstMatrix& x,
                   const Matrix& out,
                   AttentionState& state) const = 0;
};

// As above. A routed part appends what it decided to `routing` (row-major, by token).
class FeedForward {
 public:
  virtual ~FeedForward() = default;
  virtual bool routed() const = 0;
  virtual void run(const ForwardStep& step,
                   const ConstMatrix& x,
                   const Matrix& out,
                   LayerRouting& routing) const = 0;
};

struct DecoderLayer {
  Floats attention_norm, ffn_norm;  // [hidden]
  std::unique_ptr<Attention> attention;
  std::unique_ptr<FeedForward> ffn;
};

struct Decoder {
  std::int64_t vocabulary = 0, hidden = 0, experts = 0, top_k = 0;
  float norm_epsilon = 0;
  std::shared_ptr<const Weight> embedding, head;  // [vocabulary][hidden]; the same when tied
  Floats final_norm;
  std::vector<DecoderLayer> layers;
};

}  // namespace moesim
