// deepep_v2: DeepEP's rewrite on NCCL's device API. Rows go the ways of deepep_normal (its hybrid
// mode: one per distinct destination rank inside a node, one per distinct node over the rail; a
// token is counted once a rank, deep_ep/buffers/elastic.py, EPHandle), with metadata in the row,
// buffers that hold every token instead of queues, and fewer SMs.
#include <algorithm>
#include <cmath>

#include "sim/plan/all_to_all/rail_legs.h"

namespace moesim {
namespace {

constexpr const char* kName = "deepep_v2";

// The fewest SMs of the README's benchmark inside a node; across nodes it names 6 and 12.
constexpr int kDefaultSms = 24;

double align(double bytes, double to) { return to * std::ceil(bytes / to); }

// Values, scales and metadata one after another, each aligned to 32 B. Metadata: of each choice its
// expert and weight, 4 B each; in dispatch also the token's index and a list entry of each choice,
// 4 B each (deep_ep/include/deep_ep/common/layout.cuh, TokenLayout).
double dispatch_row(const ExchangeShape& shape, double values, double scales) {
  return align(values, 32) + align(scales, 32) +
         align(8.0 * shape.top_k + 4 * (1 + shape.top_k), 32);
}

double combine_row(const ExchangeShape& shape) {
  return align(row_bytes(shape.hidden, shape.combine), 32) + align(8.0 * shape.top_k, 32);
}

double value_bytes(const ExchangeShape& shape) {
  const auto hidden = static_cast<double>(shape.hidden);
  switch (shape.dispatch) {
    case PayloadFormat::bf16:
      return 2 * hidden;
    case PayloadFormat::fp8:
    case PayloadFormat::mxfp8:
      return hidden;
    case PayloadFormat::nvfp4:
    case PayloadFormat::mxfp4:
      return hidden / 2;
  }
  return 2 * hidden;
}

std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  const double values = value_bytes(shape);
  const double scales = row_bytes(shape.hidden, shape.dispatch) - values;
  return rail_traffic(rail_legs(kName, shape, *routed), dispatch_row(shape, values, scales), false);
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  return rail_traffic(rail_legs(kName, shape, *routed), combine_row(shape), true);
}

// The larger of dispatch's and combine's, in steps of 2 MiB, and 16 MiB of signals and counters
// (csrc/elastic/buffer.hpp, calculate_buffer_size; WorkspaceLayout). A node has G ranks of the
// group, there are N of them, and 1280 channels at most add a row each to what goes over the
// network.
Bytes buffer_bytes(const ExchangeShape& shape) {
  constexpr double kMiB = 1 << 20, kChannels = 1280;
  const double tokens = shape.max_tokens_per_rank, ranks = shape.ranks, k = shape.top_k;
  const double in_node = std::min(shape.ranks, shape.ranks_per_node), nodes = ranks / in_node;
  const auto hidden = static_cast<double>(shape.hidden);
  const double scales = shape.dispatch == PayloadFormat::bf16 ? 0 : 4 * std::ceil(hidden / 32);
  double to_dispatch = ranks * tokens, to_combine = std::min(ranks, k) * tokens;
  if (nodes > 1) {
    to_dispatch += tokens + nodes * (tokens + kChannels);
    to_combine = std::min(in_node, k) * nodes * tokens + std::min(nodes, k) * tokens +
                 nodes * (tokens + kChannels);
  }
  const double bytes = std::max(to_dispatch * dispatch_row(shape, value_bytes(shape), scales),
                                to_combine * (align(2 * hidden, 32) + align(8 * k, 32)));
  return Bytes(align(bytes, 2 * kMiB) + 16 * kMiB);
}

const Registered<AllToAllPart> registered{
    kName,
    "DeepEP V2: the ways of deepep_normal on NCCL, room for every token, few SMs",
    {dispatch, combine, buffer_bytes, true, kDefaultSms}};

}  // namespace
}  // namespace moesim
