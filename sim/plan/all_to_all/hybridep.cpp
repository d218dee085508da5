// hybridep: NVIDIA's HybridEP. Kernels of few SMs move rows with TMA over NVLink, one per distinct
// destination rank inside a node, and over the rail one per distinct destination node
// (Hybrid-EP_Implementation.md in DeepEP's hybrid-ep branch).
#include <algorithm>

#include "sim/plan/all_to_all/rail_legs.h"

namespace moesim {
namespace {

constexpr const char* kName = "hybridep";
constexpr int kDefaultSms = 16;  // the document's benchmark

double experts_of_node(const ExchangeShape& shape) {
  return static_cast<double>(shape.physical_experts) / shape.ranks *
         std::min(shape.ranks, shape.ranks_per_node);
}

// A dispatched row brings its weights for all experts of the destination's node, 4 bytes each.
std::vector<ExchangeTraffic> dispatch(const ExchangeShape& shape,
                                      const std::shared_ptr<const RoutedCopies>& routed) {
  const double row = row_bytes(shape.hidden, shape.dispatch) + 4 * experts_of_node(shape);
  return rail_traffic(rail_legs(kName, shape, *routed), row, false);
}

std::vector<ExchangeTraffic> combine(const ExchangeShape& shape,
                                     const std::shared_ptr<const RoutedCopies>& routed) {
  return rail_traffic(rail_legs(kName, shape, *routed), row_bytes(shape.hidden, shape.combine),
                      true);
}

// Room for all tokens of the group, once for what arrives and once for what experts put out, each
// in its own format with the node's weights; across nodes a copy of what goes out and a place for
// each other node's tokens, and in combine two such places (csrc/hybrid_ep/buffer/intranode.cu,
// internode.cu).
Bytes buffer_bytes(const ExchangeShape& shape) {
  const double tokens = shape.max_tokens_per_rank, ranks = shape.ranks;
  const double nodes = ranks / std::min(shape.ranks, shape.ranks_per_node);
  const double weights = 4 * experts_of_node(shape);
  const double in = row_bytes(shape.hidden, shape.dispatch) + weights;
  const double out = row_bytes(shape.hidden, PayloadFormat::bf16) + weights;
  double bytes = tokens * ranks * (in + out);
  if (nodes > 1) {
    const double own = row_bytes(shape.hidden, shape.dispatch) + weights * nodes;
    bytes += tokens * (own + (nodes - 1) * (in + 2 * out));
  }
  return Bytes(bytes);
}

const Registered<AllToAllPart> registered{
    kName,
    "HybridEP: TMA over NVLink, a row per destination rank, a row per node over the rail",
    {dispatch, combine, buffer_bytes, true, kDefaultSms}};

}  // namespace
}  // namespace moesim
