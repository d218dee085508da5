// Continuous batching: one piece or one token of every open request a pass.
#include "workloads/forward/trace_run.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "workloads/forward/generate.h"

namespace moesim {
namespace {

// A float in [0, 65504] to IEEE half bits, to nearest, ties to even.
std::uint16_t half_bits(float value) {
  constexpr float kLargest = 65504.0F;
  constexpr float kSmallestNormal = 6.103515625e-5F;  // 2^-14
  value = std::clamp(value, 0.0F, kLargest);
  if (value < kSmallestNormal)  // subnormal halves are multiples of 2^-24
    return static_cast<std::uint16_t>(std::nearbyint(value * 16777216.0F));
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0xFFFU + ((bits >> 13) & 1U);
  return static_cast<std::uint16_t>((rounded >> 13) - (112U << 10));  // exponent bias 127 to 15
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

TraceRun::TraceRun(const ForwardModel& model,
                   const TraceRequest& request,
                   std::vector<std::size_t> layers,
                   TraceColumns& columns,
                   BalanceLosses& losses)
    : model_(model),
      request_(request),
      layers_(std::move(layers)),
      columns_(columns),
      losses_(losses),
      top_k_(static_cast<std::size_t>(model.top_k())) {}

TraceRun::OpenRequest TraceRun::open(std::int32_t number, const WaitingRequest& waiting) const {
  OpenRequest request;
  request.number = number;
  request.random = sampling_random(request_.sampling, number);
  request.domain = waiting.domain;
  request.cache = model_.new_cache();
  request.to_generate = request_.generate_tokens;
  // At least one token is prefilled: decoding needs something to go on from.
  const std::size_t decoded =
      std::min(static_cast<std::size_t>(request_.decode_tokens), waiting.tokens.size() - 1);
  const std::size_t prompt = waiting.tokens.size() - decoded;
  const auto first = waiting.tokens.begin();
  if (model_.has_encoder()) {
    request.encoded = waiting.tokens.first(prompt);
    request.tokens.push_back(model_.decoder_start());
    request.tokens.insert(request.tokens.end(), first + static_cast<std::ptrdiff_t>(prompt),
                          waiting.tokens.end());
    return request;
  }
  request.prefilled = prompt;
  request.tokens.assign(first, waiting.tokens.end());
  return request;
}

TraceRun::Fed TraceRun::next_piece(OpenRequest& request, std::size_t first_row) const {
  if (request.fed >= request.prefilled) return {&request, first_row, 1, Phase::decode};
  std::size_t count = request.prefilled - request.fed;
  if (request_.prefill_chunk_tokens > 0)
    count = std::min(count, static_cast<std::size_t>(request_.prefill_chunk_tokens));
  return {&request, first_row, count, Phase::prefill};
}

void TraceRun::run(std::span<const WaitingRequest> waiting, const TraceProgress& progress) {
  const std::int64_t decoder_starts = model_.has_encoder() ? 1 : 0;
  std::int64_t rows = 0;
  for (const WaitingRequest& request : waiting)
    rows += static_cast<std::int64_t>(request.tokens.size()) + request_.generate_tokens +
            decoder_starts;
  std::size_t next = 0;
  while (next < waiting.size() || !open_.empty()) {
    std::ptrdiff_t running =
        std::count_if(open_.begin(), open_.end(),
                      [](const OpenRequest& request) { return request.cache != nullptr; });
    for (; running < request_.batch && next < waiting.size(); ++running, ++next)
      open_.push_back(open(static_cast<std::int32_t>(next), waiting[next]));
    if (model_.has_encoder()) encode();
    pass();
    write_done();
    if (progress) progress(rows_, rows);
  }
}

void TraceRun::encode() {
  std::vector<ForwardModel::Request> requests;
  std::vector<Fed> fed;
  std::size_t rows = 0;
  for (OpenRequest& request : open_) {
    if (request.encoded.empty()) continue;
    requests.push_back({request.encoded, request.cache.get()});
    fed.push_back({&request, rows, request.encoded.size(), Phase::prefill});
    rows += request.encoded.size();
    request.encoded = {};
  }
  if (requests.empty()) return;
  const ForwardOutput output = model_.encode(requests, {.threads = request_.threads});
  for (const Fed& piece : fed) record(piece, output);
}

void TraceRun::pass() {
  std::vector<ForwardModel::Request> requests;
  std::vector<Fed> fed;
  std::size_t rows = 0;
  for (OpenRequest& request : open_) {
    if (request.cache == nullptr) continue;
    const Fed piece = next_piece(request, rows);
    requests.push_back(
        {std::span<const std::int32_t>(request.tokens).subspan(request.fed, piece.count),
         request.cache.get()});
    fed.push_back(piece);
    rows += piece.count;
  }
  // A request that will generate needs its last layers from its first token on.
  const bool generates = request_.generate_tokens > 0;
  const ForwardOutput output = model_.run(
      requests,
      {.threads = request_.threads, .logits = generates ? KeepLogits::last : KeepLogits::none});
  const auto vocabulary = static_cast<std::size_t>(generates ? model_.vocabulary() : 0);
  for (std::size_t i = 0; i < fed.size(); ++i) {
    record(fed[i], output);
    fed[i].request->fed += fed[i].count;
    go_on(*fed[i].request,
          std::span<const float>(output.logits).subspan(i * vocabulary, vocabulary));
  }
}

void TraceRun::go_on(OpenRequest& request, std::span<const float> logits) {
  if (request.fed < request.tokens.size()) return;
  if (request.to_generate > 0) {
    request.tokens.push_back(choose_token(logits, request_.sampling, request.random));
    --request.to_generate;
    return;
  }
  request.cache.reset();
  losses_.end_request(request.number);
}

void TraceRun::record(const Fed& fed, const ForwardOutput& output) {
  for (std::size_t row = fed.first; row < fed.first + fed.count; ++row)
    record_token(fed, row, output);
  add_losses(fed, output);
  ++fed.request->step;
  rows_ += static_cast<std::int64_t>(fed.count);
}

void TraceRun::record_token(const Fed& fed, std::size_t row, const ForwardOutput& output) {
  OpenRequest& request = *fed.request;
  request.steps.push_back(request.step);
  request.phases.push_back(static_cast<std::uint8_t>(fed.phase));
  for (const std::size_t layer : layers_) {
    const LayerRouting& routing = output.routing[layer];
    for (std::size_t i = row * top_k_; i < (row + 1) * top_k_; ++i) {
      // Empty: a layer of the other stack of an encoder-decoder model.
      const bool routed = !routing.experts.empty() && routing.experts[i] < model_.experts();
      request.experts.push_back(routed ? routing.experts[i] : kNotRouted);
      request.weights.push_back(routed ? half_bits(routing.weights[i]) : std::uint16_t{0});
    }
  }
}

void TraceRun::add_losses(const Fed& fed, const ForwardOutput& output) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LayerRouting& routing = output.routing[layers_[i]];
    if (routing.experts.empty() || routing.router_logits.empty()) continue;
    const std::size_t columns = routing.router_logits.size() * top_k_ / routing.experts.size();
    losses_.add(i, fed.request->number,
                std::span(routing.router_logits).subspan(fed.first * columns, fed.count * columns),
                std::span(routing.experts).subspan(fed.first * top_k_, fed.count * top_k_),
                std::span(routing.weights).subspan(fed.first * top_k_, fed.count * top_k_));
  }
}

void TraceRun::write_done() {
  for (; !open_.empty() && open_.front().cache == nullptr; open_.pop_front()) {
    const OpenRequest& request = open_.front();
    const std::size_t rows = request.steps.size();
    append(columns_.experts, request.experts);
    append(columns_.weights, request.weights);
    append(columns_.step, request.steps);
    append(columns_.phase, request.phases);
    for (std::size_t row = 0; row < rows; ++row)
      columns_.position.push_back(static_cast<std::int32_t>(row));
    columns_.request.insert(columns_.request.end(), rows, request.number);
    columns_.domain.insert(columns_.domain.end(), rows, request.domain);
  }
}

}  // namespace moesim
