// Texts from a trace: a ring of rows for every domain and phase.
#include "workloads/traces/agentic/token_source.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "sim/core/error.h"
#include "sim/core/random.h"
#include "sim/trace/request_rows.h"
#include "sim/trace/trace_laws.h"

namespace moesim {
namespace {

class TraceSourceOfTokens : public TokenSource {
 public:
  TraceSourceOfTokens(const RoutingTrace& trace, std::uint64_t seed)
      : trace_(trace), seed_(seed), rings_(trace.header.domains.size()) {
    const RequestRows rows = rows_by_request(trace.request, all_rows(trace.tokens()));
    for (const std::uint32_t row : rows.rows)
      rings_[trace.domain[row]][trace.phase[row]].push_back(row);
  }

  const TraceHeader& header() const override { return trace_.header; }
  bool has_weights() const override { return !trace_.weights.empty(); }
  void copy_experts(const TextPart& part, std::span<std::uint16_t> experts) const override {
    copy(part, trace_.experts, experts);
  }
  void copy_weights(const TextPart& part, std::span<std::uint16_t> weights) const override {
    copy(part, trace_.weights, weights);
  }

 private:
  void copy(const TextPart& part,
            std::span<const std::uint16_t> from,
            std::span<std::uint16_t> to) const {
    const std::vector<std::uint32_t>& ring = ring_of(part);
    const std::size_t row_size =
        trace_.moe_layers() * static_cast<std::size_t>(trace_.header.top_k);
    Random random = Random::named(seed_, "text " + std::to_string(part.text));
    const std::uint64_t start = random.below(ring.size()) + part.first;
    for (std::size_t i = 0; i < part.count; ++i) {
      const std::size_t row = ring[(start + i) % ring.size()];
      const auto values = from.subspan(row * row_size, row_size);
      std::copy(values.begin(), values.end(),
                to.begin() + static_cast<std::ptrdiff_t>(i * row_size));
    }
  }

  const std::vector<std::uint32_t>& ring_of(const TextPart& part) const {
    const auto& of_domain = rings_[part.domain];
    const auto wanted = static_cast<std::size_t>(part.phase);
    const auto& ring = of_domain[wanted].empty() ? of_domain[1 - wanted] : of_domain[wanted];
    if (ring.empty())
      throw InputError("the source trace has no rows of domain \"" +
                       trace_.header.domains[part.domain] + "\"");
    return ring;
  }

  RoutingTrace trace_;
  std::uint64_t seed_;
  std::vector<std::array<std::vector<std::uint32_t>, 2>> rings_;  // [domain][phase]
};

}  // namespace

std::unique_ptr<TokenSource> token_source(const RoutingTrace& trace, std::uint64_t seed) {
  check_routing(trace, {});
  return std::make_unique<TraceSourceOfTokens>(trace, seed);
}

}  // namespace moesim
