// Replay: a StepGraph runs on the simulated cluster and becomes a Timeline. The only folder that
// names SimGrid.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/plan/step_graph.h"

namespace moesim {

class FabricPaths;

// What the engine sees of an exchange. `bound`: one delay a rank, of the busiest link on any path
// into it. `links`: a transfer of a group's bytes on every link it loads; a rank has everything
// when the links on all paths into it have drained, so exchanges that overlap share links. `paths`:
// the flows of each source, on those links of their paths that can limit them. `flows`: every flow
// on its whole path.
enum class Fidelity { bound, links, paths, flows };
const std::vector<std::string>& fidelity_names();  // in the enumeration's order
std::string to_text(Fidelity fidelity);
Fidelity parse_fidelity(const std::string& text);  // InputError with the valid names

struct Interval {
  Seconds start{}, end{};
};

// When each task ran on each rank: intervals[task * ranks + rank]. For an exchange, start is when
// the rank began to send, end when everything meant for it had arrived; between its last own byte
// and the end it waits. `ready` is when the last rank of its group had started the exchange, so
// end - ready is the exchange's own time and the rest is waiting.
struct Timeline {
  int ranks = 0;
  std::vector<Interval> intervals;
  std::vector<Seconds> ready;    // ready[exchange * ranks + rank]
  std::vector<int> exchange_of;  // by task: index into StepGraph::exchanges; -1: none
  // When the last byte of an exchange had left a link: drained[exchange * links + link]; zero where
  // it carries nothing, and with `paths` on links that cannot limit anything. Empty with `bound`:
  // there every link begins at begun[exchange], when the last group is ready, and has no other
  // exchange to carry.
  std::size_t links = 0;
  std::vector<Seconds> drained, begun;
  Seconds makespan{};
  const Interval& at(std::size_t task, int rank) const { return intervals[place(task, rank)]; }
  Seconds ready_at(std::size_t task, int rank) const {  // of an exchange task
    return ready[place(static_cast<std::size_t>(exchange_of[task]), rank)];
  }
  // `busy`: busy_time of the exchange on the link, more than zero.
  Seconds drained_at(std::size_t exchange, LinkId link, Seconds busy) const {
    return begun.empty() ? drained[exchange * links + index(link)] : begun[exchange] + busy;
  }

 private:
  std::size_t place(std::size_t row, int rank) const {
    return row * static_cast<std::size_t>(ranks) + static_cast<std::size_t>(rank);
  }
};

struct ReplayOptions {
  ReplayOptions(Fidelity wanted) : fidelity(wanted) {}  // NOLINT(google-explicit-constructor)
  Fidelity fidelity;
  const FabricPaths* paths = nullptr;  // of the cluster's fabric, for `links`; null = made here
  // `links` computes the drain times of a group that shares no link with others, which is exact;
  // true: the engine carries those links too.
  bool every_link = false;
};

// Simulates one step with a fresh clock origin (times start at 0). One engine serves the whole
// process: call it again for the next step. `links` needs StepGraph exchanges with their shares
// kept, `paths` and `flows` with their flows.
Timeline replay(const StepGraph& graph, const Cluster& cluster, const ReplayOptions& options);

// Of the line rate of a link: what an exchange reaches.
double reached_share(const Exchange& exchange, const Fabric& fabric, LinkId link);
// How long `bytes`, or all of the exchange's, keep a link busy that nothing else loads.
Seconds busy_time(const Exchange& exchange, const Fabric& fabric, LinkId link, Bytes bytes);
Seconds busy_time(const Exchange& exchange, const Fabric& fabric, LinkId link);

// Conservation and bounds, for every run; throws CheckError naming task, law and numbers.
// - bytes sent = bytes received in every exchange; a GPU's cables carry what it sends and receives
//   and a switch passes on all it gets; with flows kept, link bytes = flows on their routes
// - token copies of the layers' loads = what the routing implies, and on each rank what dispatch
//   brought or kept and combine sends or keeps
// - tasks of a rank's stream follow one another and wait for what they have to, last as long as
//   their cost and what runs beside them say, and an exchange ends on no rank before all of its
//   group have started it
// - no link, port or bisection carries bytes faster than its bandwidth
struct CheckReport {
  std::vector<std::string> passed;  // one sentence each, with counts
};
CheckReport check_step(const StepGraph& graph, const Timeline& timeline, const Cluster& cluster);

}  // namespace moesim
