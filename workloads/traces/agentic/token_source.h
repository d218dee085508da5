// Where the tokens of an agentic workload get their routing from: a routing trace of the same
// domains, or anything else that can answer the same question (a synthesizer).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

// Tokens first .. first + count of a text. The same token of the same text is routed the same way
// whenever it is asked for: a shared prefix and a prompt computed again keep their routing.
struct TextPart {
  std::uint64_t text = 0;
  std::size_t domain = 0;        // index into header().domains
  Phase phase = Phase::prefill;  // decode: a text the model wrote
  std::uint64_t first = 0;
  std::size_t count = 0;
};

class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual const TraceHeader& header() const = 0;  // the model's shape and the domains there are
  virtual bool has_weights() const = 0;
  // [count][moe_layers][top_k], as in a trace; weights (half bits) only where has_weights().
  virtual void copy_experts(const TextPart& part, std::span<std::uint16_t> experts) const = 0;
  virtual void copy_weights(const TextPart& part, std::span<std::uint16_t> weights) const = 0;
};

// A text follows the rows of one traced request of its domain and phase from a place drawn by text
// and seed, and goes on with the next such request after its last row. A domain that has rows of
// one phase only serves both. InputError when an expert id is beyond the header's (reads it all).
std::unique_ptr<TokenSource> token_source(const RoutingTrace& trace, std::uint64_t seed);

}  // namespace moesim
