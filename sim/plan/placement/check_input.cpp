// Count after count.
#include "sim/plan/placement/check_input.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/core/error.h"

namespace moesim {
namespace {

[[noreturn]] void refuse(const char* key, const std::string& message) {
  throw InputError({"", 0, 0, key}, message);
}

// The divisors of `count` next to `wanted`, as text.
std::string nearest_divisors(int count, int wanted) {
  int below = std::min(wanted, count), above = std::max(wanted, 1);
  while (below > 1 && count % below != 0) --below;
  while (above < count && count % above != 0) ++above;
  if (above >= count || below < 1) return fmt::format("{}", below < 1 ? 1 : std::min(above, count));
  return fmt::format("{} and {}", below, above);
}

void check_divides(const char* key, int value, int count, const char* what) {
  if (value >= 1 && count % value == 0) return;
  refuse(key, fmt::format("{} does not divide the {} {}; the nearest that do: {}", value, count,
                          what, nearest_divisors(count, value)));
}

void check_loads(const std::vector<std::vector<double>>& load) {
  for (std::size_t layer = 0; layer < load.size(); ++layer) {
    if (load[layer].size() != load.front().size())
      refuse("loads", fmt::format("layer {} has {} experts, the first {}; all must have as many",
                                  layer, load[layer].size(), load.front().size()));
    for (std::size_t expert = 0; expert < load[layer].size(); ++expert)
      if (!std::isfinite(load[layer][expert]) || load[layer][expert] < 0)
        refuse("loads", fmt::format("layer {}, expert {}: {}, allowed: finite and 0 or more", layer,
                                    expert, load[layer][expert]));
  }
}

}  // namespace

void check_input(const PlacementInput& input, const PlacementKeys& keys) {
  if (input.load.empty() || input.load.front().empty())
    refuse("loads", "a placement needs at least one layer of at least one expert");
  check_loads(input.load);
  const auto experts = static_cast<int>(input.load.front().size());
  if (input.slots < experts)
    refuse(keys.slots, fmt::format("{} slots cannot hold {} experts; allowed: {} or more",
                                   input.slots, experts, experts));
  check_divides(keys.ranks, input.ranks, input.slots, "slots");
  check_divides(keys.nodes, input.nodes, input.ranks, "GPUs");
  if (input.groups < 1) refuse(keys.groups, fmt::format("{} is below 1", input.groups));
}

}  // namespace moesim
