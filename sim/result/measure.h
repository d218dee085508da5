// From timelines to a PointResult: where the step's time went, who made the others wait and why,
// which links were busiest. Formulas: docs/models.md, "Metrics".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/memory/memory_ledger.h"
#include "sim/plan/step_graph.h"
#include "sim/replay/replay.h"
#include "sim/result/link_figures.h"
#include "sim/result/result.h"
#include "sim/result/timeline_choice.h"
#include "sim/result/waits.h"
#include "sim/result/window_figures.h"

namespace moesim {

// Takes one step at a time, so that a step's graph and timeline can go before the next is built.
// All figures of the result are means over the steps added.
class Measurement {
 public:
  Measurement(const Cluster& cluster, const MoeModel& model, const ShardingPlan& plan);
  // `now`: the cluster as it was in this step, after faults; null = that of the constructor.
  void add(const StepGraph& graph, const Timeline& timeline, const Cluster* now = nullptr);
  // From now on every `steps` steps make one window of the result.
  void judge_windows(int steps) { steps_of_window_ = steps; }
  // Of the first step added from now on, as perfetto_timeline has it. `ledger` must live until
  // then.
  void show_timeline(const TimelineChoice& choice, const MemoryLedger& ledger);
  const std::string& timeline() const { return timeline_text_; }
  // metrics, breakdown, layers, ranks_detail, straggler, expert_load, links and what is on them
  void fill(PointResult& result) const;
  // The bytes, busy and finish times of every link in every exchange, as a table (RFC 4180).
  std::string link_csv() const { return link_figures_.csv(); }

 private:
  void add_window(const StepGraph& graph, const Fabric& fabric, const std::vector<double>& before);
  void walk_critical_path(const StepGraph& graph, const StepWalk& walk);
  void add_links(const StepGraph& graph, const Fabric& fabric);
  void add_ranks(const StepGraph& graph, const Timeline& timeline, const StepWalk& walk);
  void add_loads(const StepGraph& graph);
  void add_held_rows(const StepGraph& graph);
  Metric hidden_metric(Basis basis) const;
  void fill_metrics(PointResult& result) const;
  void fill_straggler(PointResult& result) const;
  void fill_links(PointResult& result) const;
  std::string expert_cause(int rank, const Waits::Delay& delay) const;

  const Cluster& cluster_;
  const MoeModel& model_;
  const ShardingPlan& plan_;
  int steps_ = 0;
  double step_seconds_ = 0, exchange_seconds_ = 0;
  std::int64_t tokens_ = 0;
  Bytes fetched_;  // of experts, from host memory
  std::vector<double> seconds_by_kind_;
  std::vector<Basis> basis_by_kind_;
  std::vector<LayerResult> layers_;
  std::vector<RankResult> ranks_;
  Waits waits_;
  std::vector<double> link_bytes_, link_busy_;  // B; s at line rate
  LinkFigures link_figures_;
  std::optional<TimelineChoice> timeline_choice_;
  const MemoryLedger* timeline_ledger_ = nullptr;
  std::string timeline_text_;
  int steps_of_window_ = 0;
  WindowFigures window_figures_;
  double dispatched_ = 0, combined_ = 0;  // B; largest rows of one exchange on any rank
  std::vector<std::vector<std::uint64_t>> expert_load_;  // [trace moe layer][logical expert]
  std::vector<std::vector<std::uint64_t>> rank_load_;    // [model moe layer][rank that holds it]
  std::vector<int> first_holder_;                        // by model moe layer: rank
  std::vector<int> moe_layer_ids_;
};

}  // namespace moesim
