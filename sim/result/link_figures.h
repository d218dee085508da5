// What every link carried in every exchange of a step, and which of them made it as long as it was.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/result.h"

namespace moesim {

class LinkFigures {
 public:
  LinkFigures(const Cluster& cluster, const ShardingPlan& plan);
  // Steps of the same tasks; `now` is the cluster as it was in that step, its links those of the
  // first.
  void add(const StepGraph& graph, const Timeline& timeline, const Cluster& now);
  void fill(PointResult& result) const;  // bottlenecks, link_use
  std::string csv() const;               // one row a loaded link and exchange; names carry units

 private:
  struct OnLinks {  // one exchange; sums over the steps
    int layer = -1, micro_batch = 0;
    TaskKind kind{};
    bool row_per_copy = false;
    std::vector<double> bytes, busy, finish;  // by link
    // By kind of link: what it could have carried from ready to the last rank's end.
    std::vector<double> capacity;
    // By link between switches that is busiest on the way into a rank: of those ranks the one that
    // gets most bytes.
    std::map<std::size_t, std::pair<double, int>> into;
  };
  struct LayerLoad {
    std::size_t trace_layer = 0;
    std::vector<std::uint64_t> by_expert;  // token copies
  };
  void tell_kinds(const Fabric& fabric);
  std::size_t place_of(const Task& task, std::size_t first);
  // Of task number `number`, an exchange.
  void add_exchange(const StepGraph& graph,
                    const Timeline& timeline,
                    std::size_t number,
                    const Fabric& fabric,
                    OnLinks& sums) const;
  BottleneckResult bottleneck(const OnLinks& sums) const;
  void fill_use(PointResult& result) const;
  void name_place(const OnLinks& sums, std::size_t link, BottleneckResult& result) const;
  LinkUse use_of(std::span<const std::size_t> links) const;
  void name_expert(const OnLinks& sums, std::size_t link, BottleneckResult& result) const;
  void explain(const OnLinks& sums, std::size_t link, BottleneckResult& result) const;
  double utilisation(const OnLinks& sums, std::size_t link) const;

  const Cluster& cluster_;
  const ShardingPlan& plan_;
  std::vector<LinkEnds> ends_;
  // By link; links of one kind had the same bandwidth in every step. They are few, and links many.
  std::vector<std::uint32_t> kind_;
  std::size_t kinds_ = 1;
  int steps_ = 0;
  std::vector<OnLinks> exchanges_;
  std::map<int, LayerLoad> loads_;  // by layer
};

}  // namespace moesim
