// How the bytes of exchanges come to a rank: what the engine is told of them at each fidelity, and
// when it says that they are there.
#pragma once

#include <memory>
#include <vector>

#include "sim/plan/fabric_paths.h"
#include "sim/replay/replay.h"
#include "sim/replay/simgrid.h"

namespace moesim {

// Groups of one size of the same ranks.
struct GroupedRanks {
  std::size_t of_group = 1;
  RankRange among;
};

// An exchange task among the exchanges between the same groups: a grouping. A group's ranks go
// through those in the same order, and start one only when all of them have ended the one before.
struct Turn {
  std::size_t task = 0, exchange = 0;
  std::size_t grouping = 0, number = 0;  // the number-th exchange of the grouping
  std::size_t group_ranks = 1;
};

// What the parts of one replay share.
struct StepRun {
  StepRun(const StepGraph& graph, const Cluster& cluster);

  const StepGraph& graph;
  const Fabric& fabric;
  FairShares transfers;
  std::vector<Turn> turns;  // by task; meaningless for compute tasks
  std::vector<GroupedRanks> groupings;
  std::vector<engine::s4u::SemaphorePtr> awake;  // by rank; none where arrivals are told
  double origin = 0;                             // s, the engine's clock when the step began
  Timeline timeline;

  std::size_t ranks() const { return static_cast<std::size_t>(graph.ranks); }
  const Exchange& exchange(const Turn& turn) const { return graph.exchanges[turn.exchange]; }
  double now() const { return engine::s4u::Engine::get_clock() - origin; }
  // `bytes`, over the reached share of the line rate, begin to move. The path must live until they
  // are there.
  void start(std::span<const LinkId> path, double bytes, TransferEnd& end, std::uint32_t transfer) {
    transfers.start(engine::s4u::Engine::get_clock(), path, bytes, end, transfer);
  }
  Seconds& ready(const Turn& turn, std::size_t rank) {
    return timeline.ready[turn.exchange * ranks() + rank];
  }
  void drained(std::size_t exchange, LinkId link, double time);  // the latest counts
};

class Arrivals {
 public:
  virtual ~Arrivals() = default;
  // Called by the rank's actor as it starts the exchange, and when all ranks of its group have, at
  // `ready`. await returns the time at which everything meant for the rank is there.
  virtual void begin(const Turn& turn, std::size_t rank) = 0;
  virtual double await(const Turn& turn, std::size_t rank, double ready) = 0;
  // Whether neither of them waits, so that one actor can stand for several ranks.
  virtual bool told() const { return false; }
  // The earliest that a rank's own messages count from: its own start, or the group's last.
  virtual bool from_own_start() const = 0;
};

std::unique_ptr<Arrivals> told_arrivals(StepRun& run);  // fidelity `bound`
std::unique_ptr<Arrivals> link_arrivals(StepRun& run, const FabricPaths& paths, bool every_link);
std::unique_ptr<Arrivals> flow_arrivals(StepRun& run, bool merged);

}  // namespace moesim
