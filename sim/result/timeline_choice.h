// Which part of a step a timeline shows.
#pragma once

#include <cstddef>
#include <vector>

namespace moesim {

struct TimelineChoice {
  std::vector<int> ranks;  // shown; empty = all, or as many as fit, the rank that ends the step and
                           // those that others wait for most among them
  int first_layer = -1, last_layer = 1 << 30;  // shown; tasks outside the layers with layer 0
  std::size_t most_bytes = 45'000'000;         // of the text, at 140 bytes an event
};

}  // namespace moesim
