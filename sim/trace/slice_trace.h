// A part of a trace: the rows and layers that satisfy every filter given.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/trace/picked_rows.h"

namespace moesim {

// Whole numbers first .. end, the end left out.
struct NumberRange {
  std::int64_t first = 0, end = std::numeric_limits<std::int64_t>::max();
  bool holds(std::int64_t number) const { return number >= first && number < end; }
};

// "a:b", "a:", ":b" or "a" (= a:a+1), all of them 0 or more; InputError names `option`.
NumberRange parse_range(std::string_view text, const std::string& option);

struct SliceFilters {
  std::optional<NumberRange> tokens;            // row numbers of the trace
  std::optional<NumberRange> requests;          // request ids
  std::optional<NumberRange> steps, positions;  // values of these columns
  std::vector<std::string> domains;             // any of these names; empty = all
  std::optional<Phase> phase;
  std::vector<NumberRange> layers;  // ids of transformer layers, united; empty = all
};

// Rows keep their order, requests, steps and positions their numbers; the domain table keeps the
// names that still have rows, in their order. Model, origin and seed stay. `name` stands in
// messages. InputError: an unknown domain, layers of which the trace has none, no row left (which
// filter took the last, and what the trace holds there).
PickedRows slice_trace(const RoutingTrace& trace,
                       const std::string& name,
                       const SliceFilters& filters);

}  // namespace moesim
