// SimGrid as the replay uses it, with the differences between 3.32 (Debian 12) and 4.x (Debian 13):
// an engine whose platform is the cluster's GPUs, and routes computed by the fabric instead of
// looked up.
#pragma once

#include <functional>
#include <simgrid/kernel/routing/NetPoint.hpp>
#include <simgrid/kernel/routing/NetZoneImpl.hpp>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/cluster/fabric.h"

namespace moesim::engine {

namespace s4u = simgrid::s4u;

// Hosts are added rank by rank, so a host's id in the zone is its rank. Links have no latency:
// SimGrid shares bandwidth in proportion to 1 / latency, which no real network does, so replay adds
// latencies as delays.
class FabricZone : public simgrid::kernel::routing::NetZoneImpl {
 public:
  explicit FabricZone(const Fabric& fabric) : NetZoneImpl("fabric"), route_(fabric.route) {}

  void add_link_named(const std::string& name, double bandwidth) {
#if SIMGRID_VERSION >= 40000
    s4u::Link* link = get_iface()->add_link(name, bandwidth);
#else
    s4u::Link* link = get_iface()->create_link(name, bandwidth);
#endif
    link->set_latency(0.0)->seal();
    links_.push_back(link->get_impl());
  }

  s4u::Host* add_host_named(const std::string& name) {
#if SIMGRID_VERSION >= 40000
    s4u::Host* host = get_iface()->add_host(name, 1.0);
#else
    s4u::Host* host = get_iface()->create_host(name, 1.0);
#endif
    return host->seal();
  }

 protected:
  void get_local_route(const simgrid::kernel::routing::NetPoint* source,
                       const simgrid::kernel::routing::NetPoint* destination,
                       simgrid::kernel::routing::Route* into,
                       double* /*latency*/) override {
    path_.clear();
    route_(id_of<Rank>(source->id()), id_of<Rank>(destination->id()), 0, path_);
    for (const LinkId link : path_) into->link_list_.push_back(links_[index(link)]);
  }

 private:
  Route route_;
  std::vector<simgrid::kernel::resource::StandardLinkImpl*> links_;
  std::vector<LinkId> path_;
};

// The zone is the engine's: it deletes it.
inline FabricZone* make_zone([[maybe_unused]] s4u::Engine& engine, const Fabric& fabric) {
  auto* zone = new FabricZone(fabric);
#if SIMGRID_VERSION >= 40000
  zone->set_parent(engine.get_netzone_root()->get_impl());
#endif
  return zone;
}

inline void add_actor([[maybe_unused]] s4u::Engine& engine,
                      const std::string& name,
                      s4u::Host* host,
                      const std::function<void()>& code) {
#if SIMGRID_VERSION >= 40000
  engine.add_actor(name, host, code);
#else
  s4u::Actor::create(name, host, code);
#endif
}

}  // namespace moesim::engine
