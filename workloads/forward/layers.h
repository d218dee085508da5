// What a decoder is made of: norms, the two kinds of part a layer holds, layers, and the decoder an
// architecture builds from them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "workloads/forward/checkpoint.h"
#include "workloads/forward/forward.h"
#include "workloads/forward/products.h"
#include "workloads/forward/thread_pool.h"

namespace moesim {

// The new tokens of one request in a step: rows first_row .. first_row + tokens of every matrix.
struct Segment {
  std::int64_t first_row = 0, tokens = 0;
  std::int64_t first_position = 0;  // tokens the cache holds already
  // Positions known when the call that this step belongs to is over; frequencies that depend on the
  // length (dynamic NTK, LongRoPE) follow it, not the step.
  std::int64_t call_length = 0;
  ConstMatrix encoded;  // [positions][hidden] of the encoder; empty in decoder-only models

  std::int64_t end_position() const { return first_position + tokens; }
};

// One pass of new tokens of one or more requests.
struct ForwardStep {
  ThreadPool& pool;
  std::span<const Segment> segments;        // in the order of rows
  std::span<const std::int32_t> token_ids;  // [tokens]
  std::int64_t tokens = 0;                  // rows of all segments
};

// What a part remembers of one request.
struct PartState {
  virtual ~PartState() = default;
};
using PartStates = std::span<PartState* const>;  // one a segment

// What lets tokens see each other: attention, or a recurrent part. x [tokens][hidden] is
// normalised; out [tokens][hidden] is what joins the residual stream.
class Mixer {
 public:
  virtual ~Mixer() = default;
  virtual std::unique_ptr<PartState> new_state() const = 0;
  // Appends each segment's new tokens at its first_position, dropping what a failed call may have
  // left after it (a recurrent part that cannot drop throws std::logic_error).
  virtual void run(const ForwardStep& step,
                   const ConstMatrix& x,
                   const Matrix& out,
                   PartStates states) const = 0;
};

// Where a routed part puts what it decided, row-major, appended by token.
struct RoutingSink {
  LayerRouting& routing;
  bool keep_blocks = false;  // also the block's input and output
  bool router_only = false;  // nobody reads `out`: stop when the routing is known
};

// A dense or routed feed-forward part, as above but without memory.
class FeedForward {
 public:
  virtual ~FeedForward() = default;
  virtual bool routed() const = 0;
  virtual void run(const ForwardStep& step,
                   const ConstMatrix& x,
                   const Matrix& out,
                   RoutingSink& sink) const = 0;
};

// RMSNorm (arXiv 1910.07467), or LayerNorm (arXiv 1607.06450) where `centred`.
struct Norm {
  Floats weight, bias;  // bias may be empty
  float epsilon = 0;
  bool centred = false;
  void apply(const ConstMatrix& x, const Matrix& out) const;
};
// Tensor <name>.weight [size]; `offset` is added to every weight (1 where a checkpoint stores w -
// 1).
Norm load_rms_norm(const Checkpoint& weights,
                   const std::string& name,
                   std::int64_t size,
                   float epsilon,
                   float offset = 0);
Norm load_layer_norm(const Checkpoint& weights,
                     const std::string& name,
                     std::int64_t size,
                     float epsilon);

// x [tokens][residual width] is the residual stream, changed in place.
class DecoderLayer {
 public:
  virtual ~DecoderLayer() = default;
  virtual std::unique_ptr<PartState> new_state() const = 0;
  virtual bool routed() const = 0;
  virtual void run(const ForwardStep& step,
                   const Matrix& x,
                   PartStates states,
                   RoutingSink& sink) const = 0;
};

// x += multiplier * part(norm(x)), once or twice: nearly every decoder's layer. Either part may be
// null, and is then left out.
struct ResidualParts {
  Norm mixer_norm, ffn_norm;
  std::unique_ptr<Mixer> mixer;
  std::unique_ptr<FeedForward> ffn;
  float multiplier = 1;
};
std::unique_ptr<DecoderLayer> make_residual_layer(ResidualParts parts);

struct Decoder {
  std::int64_t vocabulary = 0, hidden = 0, experts = 0, top_k = 0;
  std::shared_ptr<const Weight> embedding, head;  // [vocabulary][hidden]; the same when tied
  Floats head_bias;                               // [vocabulary] or empty
  float embedding_multiplier = 1, logit_multiplier = 1;
  Norm final_norm;
  std::vector<std::unique_ptr<DecoderLayer>> layers;
  std::vector<int> layer_ids;  // by layer: the transformer layer it is

  // Models whose residual stream is wider than the hidden state (hyper-connections): the width, how
  // an embedded row begins it, and how it ends as hidden rows before final_norm. 0 = as wide.
  std::int64_t residual_width = 0;
  std::function<void(const ConstMatrix& hidden, const Matrix& residual)> spread;
  std::function<void(const ForwardStep& step, const ConstMatrix& residual, const Matrix& hidden)>
      gather;

  // Encoder-decoder models: the first layers are the encoder's, ended by its own norm.
  std::size_t encoder_layers = 0;
  Norm encoder_norm;
  std::int32_t decoder_start = 0;  // the token id generation begins with

  // A router of this model judges all tokens of a request together (capacity): never cut a call.
  bool whole_sequences = false;
};

// Runs task(row) for the rows 0 .. rows - 1 over the pool; `flops` is the rough work of all.
void for_rows(ThreadPool& pool,
              std::int64_t rows,
              double flops,
              const std::function<void(std::int64_t row)>& task);

}  // namespace moesim
