// SimGrid as the replay uses it, with the differences between 3.32 (Debian 12) and 4.x (Debian 13):
// an engine with a host for each rank, and the cluster's links as a resource model of it.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <simgrid/kernel/resource/Model.hpp>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/replay/fair_shares.h"

// It leans on what the headers above define, so it comes last.
// clang-format off
#include <simgrid/version.h>
// clang-format on

namespace moesim::engine {

namespace s4u = simgrid::s4u;

// Tells the engine when the next transfer ends, and the transfers what time it is. SimGrid's own
// network models solve for all rates anew, at every end: decision 0023.
class LinkModel : public simgrid::kernel::resource::Model {
 public:
  explicit LinkModel(FairShares& shares) : Model("links"), shares_(shares) {}

  double next_occurring_event(double now) override {
    const double end = shares_.next_end();
    return end == FairShares::kNever ? -1 : std::max(0.0, end - now);
  }
  void update_actions_state(double now, double /*passed*/) override { shares_.advance(now); }

 private:
  FairShares& shares_;  // must outlive the engine
};

// By rank. Nothing lies between the hosts: what goes from one to another is the link model's.
inline std::vector<s4u::Host*> add_hosts([[maybe_unused]] s4u::Engine& engine, std::size_t ranks) {
#if SIMGRID_VERSION_MAJOR >= 4
  s4u::NetZone* const zone = engine.get_netzone_root()->add_netzone_empty("ranks");
#else
  s4u::NetZone* const zone = s4u::create_empty_zone("ranks");
#endif
  std::vector<s4u::Host*> hosts;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const std::string name = "rank " + std::to_string(rank);
#if SIMGRID_VERSION_MAJOR >= 4
    hosts.push_back(zone->add_host(name, 1.0)->seal());
#else
    hosts.push_back(zone->create_host(name, 1.0)->seal());
#endif
  }
  zone->seal();
  return hosts;
}

inline void add_actor([[maybe_unused]] s4u::Engine& engine,
                      const std::string& name,
                      s4u::Host* host,
                      const std::function<void()>& code) {
#if SIMGRID_VERSION_MAJOR >= 4
  engine.add_actor(name, host, code);
#else
  s4u::Actor::create(name, host, code);
#endif
}

}  // namespace moesim::engine
