// The laws of a routing trace: what a header may say and what its columns may hold.
#include "sim/trace/trace_laws.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr int kFormatVersion = 1;
constexpr int kMaxExperts = 65534;  // 65535 is kNotRouted
constexpr std::size_t kMaxDomains = 256;
constexpr std::uint16_t kHalfExponent = 0x7C00;  // all ones: infinite or not a number

const std::vector<std::string>& origins() {
  static const std::vector<std::string> names{"forward", "imported", "synthetic"};
  return names;
}

std::string element(const TraceSourceName& source,
                    const char* tensor,
                    std::size_t row,
                    const void* value) {
  std::string text = fmt::format("{}: tensor {}, token row {}", source.name, tensor, row);
  if (source.file_start != nullptr)
    text += fmt::format(", byte {}", static_cast<const std::byte*>(value) - source.file_start);
  return text + ": ";
}

}  // namespace

void check_header(const TraceHeader& header, const std::string& name) {
  const auto fail = [&](const std::string& message) { throw InputError(name + ": " + message); };
  if (header.format_version != kFormatVersion)
    fail(fmt::format("format_version {} is not known; this program reads version {}",
                     header.format_version, kFormatVersion));
  if (header.experts < 1 || header.experts > kMaxExperts)
    fail(fmt::format("experts is {}, allowed: 1 to {} (ids are 16-bit, {} means not routed)",
                     header.experts, kMaxExperts, kNotRouted));
  if (header.top_k < 1 || header.top_k > header.experts)
    fail(fmt::format("top_k is {}, allowed: 1 to {} (the number of experts)", header.top_k,
                     header.experts));
  const std::vector<int>& ids = header.layer_ids;
  if (ids.empty()) fail("layer_ids is empty; a trace has at least one MoE layer");
  if (ids.front() < 0) fail(fmt::format("layer_ids begins with {}, below 0", ids.front()));
  for (std::size_t i = 1; i < ids.size(); ++i)
    if (ids[i] <= ids[i - 1])
      fail(fmt::format("layer_ids must ascend, but {} follows {} at place {}", ids[i], ids[i - 1],
                       i));
  if (header.domains.empty() || header.domains.size() > kMaxDomains)
    fail(fmt::format("{} domain names, allowed: 1 to {}", header.domains.size(), kMaxDomains));
  if (std::find(origins().begin(), origins().end(), header.origin) == origins().end())
    fail(
        fmt::format("unknown origin \"{}\"{}", header.origin, name_help(header.origin, origins())));
}

void check_labels(const RoutingTrace& trace, const TraceSourceName& source) {
  const std::size_t domains = trace.header.domains.size();
  for (std::size_t row = 0; row < trace.tokens(); ++row) {
    if (trace.domain[row] >= domains)
      throw InputError(element(source, "domain", row, &trace.domain[row]) +
                       fmt::format("domain {}, but the header names {} domains (0 to {})",
                                   trace.domain[row], domains, domains - 1));
    if (trace.phase[row] > static_cast<std::uint8_t>(Phase::decode))
      throw InputError(
          element(source, "phase", row, &trace.phase[row]) +
          fmt::format("phase {}, allowed: 0 (prefill) and 1 (decode)", trace.phase[row]));
  }
}

void check_routing(const RoutingTrace& trace, const TraceSourceName& source) {
  const auto experts = static_cast<std::uint16_t>(trace.header.experts);
  const std::size_t per_row = trace.moe_layers() * static_cast<std::size_t>(trace.header.top_k);
  const auto bad_id = std::find_if(trace.experts.begin(), trace.experts.end(),
                                   [&](auto id) { return id >= experts && id != kNotRouted; });
  if (bad_id != trace.experts.end()) {
    const auto place = static_cast<std::size_t>(bad_id - trace.experts.begin());
    const std::size_t moe_layer = place % per_row / static_cast<std::size_t>(trace.header.top_k);
    throw InputError(element(source, "experts", place / per_row, &*bad_id) +
                     fmt::format("expert {} in layer {}, allowed: 0 to {}, and {} for not routed",
                                 *bad_id, trace.header.layer_ids[moe_layer], experts - 1,
                                 kNotRouted));
  }
  const auto bad_weight = std::find_if(trace.weights.begin(), trace.weights.end(), [](auto bits) {
    return (bits & kHalfExponent) == kHalfExponent;
  });
  if (bad_weight != trace.weights.end()) {
    const auto place = static_cast<std::size_t>(bad_weight - trace.weights.begin());
    throw InputError(element(source, "weights", place / per_row, &*bad_weight) +
                     "the weight is not finite");
  }
}

}  // namespace moesim
