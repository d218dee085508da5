// The busiest link on any path into each rank, of one exchange whose link bytes are known.
#pragma once

#include <vector>

#include "sim/plan/leg_loads.h"
#include "sim/plan/step_graph.h"

namespace moesim {

class BusiestLinks {
 public:
  // Reads exchange.link_bytes and its efficiencies.
  BusiestLinks(const FabricPaths& paths, const Exchange& exchange);

  // Raises exchange.transfer and .busiest to what the leg's paths pass. Of links that are busy
  // equally long one is named, always the same.
  void add(const LegLoads& loads, Exchange& exchange) const;

 private:
  // A link on the way, and how long it is busy.
  struct Busy {
    double time = 0;  // s
    LinkId link = FabricPaths::kNoLink;
    void meet(const Busy& other) {
      if (other.time > time) *this = other;
    }
  };
  struct Source {
    double most = 0;  // s, of the links that its rows leave by
    std::uint32_t rank = 0;
  };
  Busy of(const FabricPaths::Half& half) const;
  void meet_entering(const LegLoads& loads, std::vector<Busy>& into) const;
  std::vector<Source> sources_by_most(const LegLoads& loads) const;
  bool meet_leaving(const Leg& leg,
                    const std::vector<Source>& sources,
                    std::vector<Busy>& into) const;
  void meet_every_leaving(const Leg& leg, std::vector<Busy>& into) const;

  const FabricPaths& paths_;
  std::vector<double> busy_;  // s, by link
  std::vector<Busy> of_run_;
};

}  // namespace moesim
