// One call of the forward pass: new tokens cut into pieces of rows, each run through the layers.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "workloads/forward/layers.h"

namespace moesim {

// What is known of one request between calls.
struct RequestState {
  std::int64_t tokens = 0;                         // of the decoder
  std::vector<std::unique_ptr<PartState>> states;  // by layer
  std::unique_ptr<Rows> encoded;                   // the encoder's output
  bool stopped_early = false;  // the layers behind the last router have seen nothing
};

struct PassRequest {
  std::span<const std::int32_t> tokens;
  RequestState* state;
};

class ForwardPass {
 public:
  ForwardPass(const Decoder& decoder, ThreadPool& pool, const ForwardOptions& options)
      : decoder_(decoder), pool_(pool), options_(options) {}

  ForwardOutput run_decoder(std::span<const PassRequest> requests);
  ForwardOutput run_encoder(std::span<const PassRequest> requests);

 private:
  // Some new tokens of a request, rows of a piece.
  struct Part {
    PassRequest of;
    std::int64_t first, count, position, call_length;
  };
  using Piece = std::vector<Part>;

  std::vector<Piece> cut(std::span<const PassRequest> requests) const;
  void set_layers(bool encoder);
  ForwardOutput empty_output() const;
  void run_piece(const Piece& piece, ForwardOutput& output) const;
  void run_layers(const ForwardStep& step,
                  const Piece& piece,
                  const Matrix& x,
                  ForwardOutput& output) const;
  void end_encoder(const ForwardStep& step, const Piece& piece, const ConstMatrix& x) const;
  void end_decoder(const ForwardStep& step,
                   const Piece& piece,
                   const ConstMatrix& x,
                   ForwardOutput& output) const;
  void embed(std::span<const std::int32_t> tokens, const Matrix& residual) const;

  const Decoder& decoder_;
  ThreadPool& pool_;
  const ForwardOptions& options_;
  bool encoder_ = false;
  std::size_t first_layer_ = 0, end_layer_ = 0;
  bool router_only_ = false;  // the last layer run ends with its router
};

}  // namespace moesim
