// The laws every routing trace keeps, whether made in memory or read from a file. Each check throws
// InputError that names the source, the tensor, the token row and (in a file) the byte.
#pragma once

#include <cstddef>
#include <string>

#include "sim/trace/routing_trace.h"

namespace moesim {

// What messages call the trace. `file_start` is the mapped file's first byte, null in memory.
struct TraceSourceName {
  std::string name = "trace";
  const std::byte* file_start = nullptr;
};

// Counts in range, layer_ids ascending, origin and format version known.
void check_header(const TraceHeader& header, const std::string& name);

// Domains and phases; one byte a token each, so cheap enough for every opening.
void check_labels(const RoutingTrace& trace, const TraceSourceName& source);

// Expert ids below header.experts or kNotRouted, weights finite; reads the whole trace.
void check_routing(const RoutingTrace& trace, const TraceSourceName& source);

}  // namespace moesim
