// Where two traces differ, and by how much their routing does. Definitions: docs/traces.md,
// "Differences of traces".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

// A header field that the two sides say differently, as text.
struct HeaderDifference {
  std::string field, a, b;
};

// A column's first difference, over the rows that both traces have. Weights are compared by bits,
// domains by name. layer (its id) and choice are -1 where the column has one value a row.
struct ColumnDifference {
  std::string column;
  std::uint64_t values = 0;  // how many differ
  std::uint64_t row = 0;
  int layer = -1, choice = -1;
  std::string a, b;  // the values there; "absent" where one side lacks the column
};

struct LoadDifference {
  double max_over_mean_a = 0, max_over_mean_b = 0;
  double total_variation = 0;  // between the sides' load shares, 0 to 1; 0 if a side routed nothing
};

struct LayerDifference {
  int layer = 0;
  double changed_choices = 0;  // share of (row, choice) values that differ
  double set_overlap = 0;      // mean over rows of |A and B| / |A or B|, whatever their order
  LoadDifference all;          // over all rows of either side
  std::vector<LoadDifference> by_domain;  // by TraceDifference::domains
};

struct ComparedTrace {
  std::uint64_t tokens = 0, prefill_tokens = 0, requests = 0;
  double not_routed = 0;  // share of choices, in the layers compared
};

struct TraceDifference {
  std::vector<HeaderDifference> header;   // data_sha256 left out: the data itself is compared
  std::vector<ColumnDifference> columns;  // in file order, only those that differ
  ComparedTrace a, b;
  std::vector<std::string> domains;  // of both sides: a's, then those only b has
  std::uint64_t compared_rows = 0;   // the shorter trace's
  // Of the layers both have; empty when experts or top_k differ: no choice is then like another.
  std::vector<LayerDifference> layers;
  bool identical() const { return header.empty() && columns.empty(); }
};

// Reads both traces once, in order; rows are dealt over `threads`, the result does not depend on
// their number. Memory is counts by layer, domain and expert. InputError on an expert id beyond its
// header's; `a_name` and `b_name` stand in messages.
struct DiffInput {
  std::string name;
  const RoutingTrace& trace;
};
TraceDifference diff_traces(const DiffInput& a, const DiffInput& b, int threads = 2);

}  // namespace moesim
