// The part of a diff that reads the routing of both traces: whole numbers only, so that sums over
// threads do not depend on their order.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/trace/diff_traces.h"

namespace moesim {

// A layer both traces have: its place on either side's moe_layers axis.
struct SharedLayer {
  int id = 0;
  std::size_t a = 0, b = 0;
};

// First difference of one column with choices, and how many there are.
struct FirstDifference {
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t values = 0, row = kNone;
  std::size_t layer = 0, choice = 0;  // layer: index of the SharedLayer
  void found(std::uint64_t at_row, std::size_t at_layer, std::size_t at_choice);
  void add(const FirstDifference& other);
};

// One side's load in the shared layers: [layer][domain][expert].
struct SideLoad {
  std::vector<std::uint64_t> load;
  std::uint64_t not_routed = 0;
  bool wrong_id = false;  // an expert beyond the header's
};

struct RoutingDifference {
  FirstDifference experts, weights;
  std::vector<std::uint64_t> changed;  // choices, by layer
  std::vector<std::uint64_t> overlap;  // rows: [layer][experts in both][experts in either]
  SideLoad a, b;
  void add(const RoutingDifference& other);
};

struct RoutingInput {
  const RoutingTrace& a;
  const RoutingTrace& b;
  std::vector<SharedLayer> layers;
  std::vector<std::uint16_t> a_domains, b_domains;  // id in the union by id in the trace
  std::size_t domains = 0;                          // of the union
  std::size_t experts() const { return static_cast<std::size_t>(a.header.experts); }
  std::size_t top_k() const { return static_cast<std::size_t>(a.header.top_k); }
};

RoutingDifference diff_routing(const RoutingInput& input, int threads);

}  // namespace moesim
