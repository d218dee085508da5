// SimGrid as the replay uses it, with the differences between 3.32 (Debian 12) and 4.x (Debian 13):
// an engine whose platform is the cluster's GPUs and links, and paths given with each message
// instead of looked up.
#pragma once

#include <functional>
#include <simgrid/kernel/routing/NetPoint.hpp>
#include <simgrid/kernel/routing/NetZoneImpl.hpp>
#include <simgrid/s4u.hpp>
#include <span>
#include <string>
#include <vector>

#include "sim/cluster/fabric.h"

// It leans on what the headers above define, so it comes last.
// clang-format off
#include <simgrid/version.h>
// clang-format on

namespace moesim::engine {

namespace s4u = simgrid::s4u;

// Hosts are added rank by rank, so a host's id in the zone is its rank. A rank's messages to itself
// take the path it set last. Links have no latency: SimGrid shares bandwidth in proportion to
// 1 / latency, which no real network does, so replay adds latencies as delays.
class PathZone : public simgrid::kernel::routing::NetZoneImpl {
 public:
  explicit PathZone(std::size_t ranks) : NetZoneImpl("fabric"), paths_(ranks) {}

  void set_path(std::size_t rank, std::span<const LinkId> path) { paths_[rank] = path; }

  void add_link_named(const std::string& name, double bandwidth) {
#if SIMGRID_VERSION_MAJOR >= 4
    s4u::Link* link = get_iface()->add_link(name, bandwidth);
#else
    s4u::Link* link = get_iface()->create_link(name, bandwidth);
#endif
    link->set_latency(0.0)->seal();
    links_.push_back(link->get_impl());
  }

  s4u::Host* add_host_named(const std::string& name) {
#if SIMGRID_VERSION_MAJOR >= 4
    s4u::Host* host = get_iface()->add_host(name, 1.0);
#else
    s4u::Host* host = get_iface()->create_host(name, 1.0);
#endif
    return host->seal();
  }

 protected:
  void get_local_route(const simgrid::kernel::routing::NetPoint* source,
                       const simgrid::kernel::routing::NetPoint* /*destination*/,
                       simgrid::kernel::routing::Route* into,
                       double* /*latency*/) override {
    for (const LinkId link : paths_[source->id()]) into->link_list_.push_back(links_[index(link)]);
  }

 private:
  std::vector<simgrid::kernel::resource::StandardLinkImpl*> links_;
  std::vector<std::span<const LinkId>> paths_;  // by rank
};

// The zone is the engine's: it deletes it.
inline PathZone* make_zone([[maybe_unused]] s4u::Engine& engine, std::size_t ranks) {
  auto* zone = new PathZone(ranks);
#if SIMGRID_VERSION_MAJOR >= 4
  zone->set_parent(engine.get_netzone_root()->get_impl());
#endif
  return zone;
}

// Times closer than this are one event to the engine; s. May change while it runs.
inline void set_precision(double seconds) {
  s4u::Engine::set_config("surf/precision:" + std::to_string(seconds * 1e15) + "e-15");
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
