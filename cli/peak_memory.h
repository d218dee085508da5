// The most memory this process has held.
#pragma once

#include <sys/resource.h>

namespace moesim {

inline double peak_memory_gib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);  // Linux counts KiB
}

}  // namespace moesim
