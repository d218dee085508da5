// Cutting a call into pieces and running each through the layers.
#include "workloads/forward/forward_pass.h"

#include <algorithm>
#include <stdexcept>

#include "workloads/forward/kernels.h"

namespace moesim {
namespace {

// Longer calls run in pieces of about this many rows, which bounds memory by the model's width.
constexpr std::int64_t kPieceRows = 512;

std::int64_t size_of(std::span<const std::int32_t> tokens) {
  return static_cast<std::int64_t>(tokens.size());
}

}  // namespace

ForwardOutput ForwardPass::run_decoder(std::span<const PassRequest> requests) {
  encoder_ = false;
  set_layers(false);
  for (const PassRequest& request : requests) {
    if (decoder_.encoder_layers > 0 && request.state->encoded == nullptr)
      throw std::logic_error("encode() comes before run() in an encoder-decoder model");
    if (request.state->stopped_early && !router_only_)
      throw std::logic_error("an earlier call of this request stopped at the last router");
  }
  ForwardOutput output = empty_output();
  for (const Piece& piece : cut(requests)) run_piece(piece, output);
  return output;
}

ForwardOutput ForwardPass::run_encoder(std::span<const PassRequest> requests) {
  encoder_ = true;
  set_layers(true);
  ForwardOutput output = empty_output();
  for (const Piece& piece : cut(requests)) run_piece(piece, output);
  return output;
}

// The encoder always runs to its end: the decoder reads its output.
void ForwardPass::set_layers(bool encoder) {
  first_layer_ = encoder ? 0 : decoder_.encoder_layers;
  end_layer_ = encoder ? decoder_.encoder_layers : decoder_.layers.size();
  router_only_ = !encoder && options_.logits == KeepLogits::none && !options_.keep_blocks;
  if (!router_only_) return;
  while (end_layer_ > first_layer_ && !decoder_.layers[end_layer_ - 1]->routed()) --end_layer_;
}

ForwardOutput ForwardPass::empty_output() const {
  ForwardOutput output;
  for (std::size_t layer = 0; layer < decoder_.layers.size(); ++layer)
    if (decoder_.layers[layer]->routed())
      output.routing.emplace_back().layer = decoder_.layer_ids[layer];
  return output;
}

// Requests in order. A request is cut where the piece is full, unless its router must see it whole.
std::vector<ForwardPass::Piece> ForwardPass::cut(std::span<const PassRequest> requests) const {
  const bool whole = encoder_ || decoder_.whole_sequences;
  std::vector<Piece> pieces;
  std::int64_t room = 0;
  for (const PassRequest& request : requests) {
    const std::int64_t size = size_of(request.tokens);
    const std::int64_t before = encoder_ ? 0 : request.state->tokens;
    for (std::int64_t first = 0; first < size;) {
      if (room <= 0 || (whole && size > room)) {
        pieces.emplace_back();
        room = kPieceRows;
      }
      const std::int64_t count = whole ? size : std::min(room, size - first);
      pieces.back().push_back({request, first, count, before + first, before + size});
      room -= count;
      first += count;
    }
  }
  return pieces;
}

void ForwardPass::embed(std::span<const std::int32_t> tokens, const Matrix& residual) const {
  const bool direct = !decoder_.spread;
  const Rows own(direct ? 0 : residual.rows, decoder_.hidden);
  const Matrix& hidden = direct ? residual : own.view;
  Floats row;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const float* from = decoder_.embedding->expand(tokens[i], 1, row);
    std::transform(from, from + decoder_.hidden, hidden.row(static_cast<std::int64_t>(i)),
                   [this](float value) { return value * decoder_.embedding_multiplier; });
  }
  if (!direct) decoder_.spread(hidden.read(), residual);
}

void ForwardPass::run_piece(const Piece& piece, ForwardOutput& output) const {
  std::vector<Segment> segments;
  std::vector<std::int32_t> tokens;
  for (const Part& part : piece) {
    Segment& segment = segments.emplace_back();
    segment = {size_of(tokens), part.count, part.position, part.call_length, {}};
    if (!encoder_ && part.of.state->encoded) segment.encoded = part.of.state->encoded->read();
    const auto of_part = part.of.tokens.subspan(static_cast<std::size_t>(part.first),
                                                static_cast<std::size_t>(part.count));
    tokens.insert(tokens.end(), of_part.begin(), of_part.end());
  }
  const ForwardStep step{pool_, segments, tokens, size_of(tokens)};
  const Rows residual(step.tokens,
                      decoder_.residual_width > 0 ? decoder_.residual_width : decoder_.hidden);
  embed(tokens, residual.view);
  run_layers(step, piece, residual.view, output);
  if (encoder_) {
    end_encoder(step, piece, residual.read());
    return;
  }
  for (const Part& part : piece) {
    part.of.state->tokens += part.count;
    part.of.state->stopped_early |= router_only_;
  }
  if (options_.logits != KeepLogits::none) end_decoder(step, piece, residual.read(), output);
}

void ForwardPass::run_layers(const ForwardStep& step,
                             const Piece& piece,
                             const Matrix& x,
                             ForwardOutput& output) const {
  LayerRouting not_routed;
  std::size_t moe_layer = 0;
  std::vector<PartState*> states(piece.size());
  for (std::size_t number = 0; number < end_layer_; ++number) {
    const DecoderLayer& layer = *decoder_.layers[number];
    LayerRouting& routing = layer.routed() ? output.routing[moe_layer++] : not_routed;
    if (number < first_layer_) continue;
    for (std::size_t i = 0; i < piece.size(); ++i)
      states[i] = piece[i].of.state->states[number].get();
    RoutingSink sink{routing, options_.keep_blocks, router_only_ && number + 1 == end_layer_};
    layer.run(step, x, states, sink);
  }
}

void ForwardPass::end_encoder(const ForwardStep&, const Piece& piece, const ConstMatrix& x) const {
  std::int64_t row = 0;
  for (const Part& part : piece) {
    part.of.state->encoded = std::make_unique<Rows>(part.count, decoder_.hidden);
    decoder_.encoder_norm.apply(x.part(row, part.count), part.of.state->encoded->view);
    row += part.count;
  }
}

void ForwardPass::end_decoder(const ForwardStep& step,
                              const Piece& piece,
                              const ConstMatrix& x,
                              ForwardOutput& output) const {
  const Rows gathered(decoder_.gather ? x.rows : 0, decoder_.hidden);
  if (decoder_.gather) decoder_.gather(step, x, gathered.view);
  const ConstMatrix hidden = decoder_.gather ? gathered.read() : x;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const Segment& segment = step.segments[i];
    const bool ended = piece[i].first + piece[i].count == size_of(piece[i].of.tokens);
    const bool all = options_.logits == KeepLogits::all;
    for (std::int64_t row = all ? 0 : segment.tokens - (ended ? 1 : 0); row < segment.tokens; ++row)
      rows.push_back(segment.first_row + row);
  }
  if (rows.empty()) return;
  const auto count = static_cast<std::int64_t>(rows.size());
  const Rows normed(count, decoder_.hidden);
  for (std::int64_t i = 0; i < count; ++i)
    decoder_.final_norm.apply(hidden.part(rows[static_cast<std::size_t>(i)], 1),
                              normed.view.part(i, 1));
  const std::size_t before = output.logits.size();
  output.logits.resize(before + static_cast<std::size_t>(count * decoder_.vocabulary));
  linear(step.pool, normed.read(), *decoder_.head, data_or_null(decoder_.head_bias),
         {output.logits.data() + before, count, decoder_.vocabulary, decoder_.vocabulary});
  if (decoder_.logit_multiplier != 1)
    for (std::size_t i = before; i < output.logits.size(); ++i)
      output.logits[i] *= decoder_.logit_multiplier;
}

}  // namespace moesim
