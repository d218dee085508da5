// Routing traces: container, header and laws.
#include "sim/trace/routing_trace.h"

#include "sim/trace/trace_stats.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const moesim::fuzz::MemoryFile file(data, size);
  return moesim::fuzz::refuse_or_read([&] {
    moesim::open_trace(file.path(), true);
    const moesim::RoutingTrace trace = moesim::open_trace(file.path());
    if (trace.header.experts <= 512) moesim::trace_stats(trace, 1);
  });
}
