// Who made the others wait, and by what. Formulas: docs/models.md, "Waiting".
#pragma once

#include <map>
#include <vector>

#include "sim/result/result.h"
#include "sim/result/step_walk.h"

namespace moesim {

// Where ranks wait for the last of their group (or, at the step's end, of all), the wait of each is
// what the late rank's way there took longer than its own, part by part, back to where the ways of
// all of them meet. So the parts of a wait sum to it; a part in which the late rank was faster is
// negative. Where a pipeline's stages hand on, this is said of the wait for the last of the rank's
// own stage; what is left, until the slowest stage is done, is the pipeline's.
class Waits {
 public:
  explicit Waits(std::size_t ranks) : delays_(ranks) {}
  void add(const StepGraph& graph, const Timeline& timeline, const StepWalk& walk);

  struct Delay {  // of one rank's lateness; s, means over its groups, sums over steps
    std::vector<double> by_kind = std::vector<double>(kTaskKinds);
    double worst_expert_delay = 0;  // the largest single one by expert FFN, and where
    int worst_layer = -1;
    double total = 0;
  };
  const std::vector<Delay>& delays() const { return delays_; }

  static const std::vector<std::string>& causes();
  // Per step and rank; waits and wait_causes of a result.
  void fill(PointResult& result, double rank_steps) const;

 private:
  struct Way {
    TaskAt at;
    double weight = 0;  // exposed share of a waiting rank's wait, negative; the late one's: all
  };
  struct Meeting {  // of ranks that wait for `late`
    int layer = -1, size = 0, late = 0;
    std::vector<Way> ways;
    TaskAt late_at;  // where the late rank's way has got to
  };
  void add_exchange(const StepGraph& graph, const StepWalk& walk, std::size_t task, int first);
  void add_stage(const StepGraph& graph, const StepWalk& walk, std::size_t send, int first);
  void add_end(const StepGraph& graph, const Timeline& timeline, const StepWalk& walk);
  void walk_back(const StepGraph& graph, const StepWalk& walk, Meeting meeting);
  void take_part(const StepGraph& graph, const StepWalk& walk, std::size_t task, Meeting& meeting);

  bool pipelined_ = false;                     // in any step
  std::vector<Delay> delays_;                  // by rank
  std::map<int, std::vector<double>> layers_;  // by layer, then cause: s, sums over ranks and steps
};

}  // namespace moesim
