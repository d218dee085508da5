// Rows of one or more traces, in a given order, as one new trace: what slicing and merging both
// are. It is written from the mapped inputs without ever being whole in memory.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

// A trace that rows are picked from, and what becomes of its labels.
struct PickedSource {
  std::string name;  // for messages
  RoutingTrace trace;
  std::vector<std::size_t> moe_layers;  // the places on the moe_layers axis that are kept
  std::vector<std::uint8_t> domains;    // new domain by old
  std::unordered_map<std::int32_t, std::int32_t> requests;  // new by old; empty = as they are
  std::int64_t step_shift = 0;                              // added to every step
};

// Rows first .. first + count of one source.
struct RowRun {
  std::size_t source = 0, first = 0, count = 0;
};

struct PickedRows {
  TraceHeader header;
  std::vector<PickedSource> sources;
  std::vector<RowRun> runs;  // in the order of the new trace
  bool keep_weights = false, keep_source_rank = false;
  std::size_t tokens() const;
};

// Appends a row, lengthening the last run where it can.
void append_row(std::vector<RowRun>& runs, std::size_t source, std::size_t row);

// InputError names the source, row and layer of an expert id beyond its header's.
void write_picked(const std::string& path, const PickedRows& picked);

}  // namespace moesim
