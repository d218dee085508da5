// The parts of a result that are derived from the sums: metrics with bands, the straggler's cause,
// busiest links.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/result/hottest_expert.h"
#include "sim/result/measure.h"

namespace moesim {
namespace {

constexpr std::size_t kMostLinks = 32;

// A sum of parts with bases of their own: its band is the sum of theirs, its basis the weakest
// among the parts that make a tenth of it or more (as KernelCosts does: a 3 us kernel does not turn
// a step into a datasheet figure).
class Sum {
 public:
  void add(double value, Basis basis) {
    const Metric part = metric_of(value, "s", basis);
    metric_.value += part.value;
    metric_.low += part.low;
    metric_.high += part.high;
    if (value > 0) parts_.emplace_back(value, basis);
  }
  Metric metric() const {
    Metric metric = metric_;
    for (const auto& [value, basis] : parts_) {
      if (value >= kDecidingShare * metric_.value) metric.basis = weaker(metric.basis, basis);
    }
    return metric;
  }

 private:
  static constexpr double kDecidingShare = 0.1;
  Metric metric_{0, "s", 0, 0, Basis::exact};
  std::vector<std::pair<double, Basis>> parts_;
};

}  // namespace

// Mean over ranks and steps.
Metric Measurement::hidden_metric(Basis basis) const {
  double hidden = 0;
  for (const RankResult& rank : ranks_) hidden += rank.hidden;
  return metric_of(hidden / (static_cast<double>(ranks_.size()) * steps_), "s", basis);
}

void Measurement::fill_metrics(PointResult& result) const {
  Sum step, compute, exchanges;
  for (std::size_t k = 0; k < seconds_by_kind_.size(); ++k) {
    const auto kind = static_cast<TaskKind>(k);
    const double seconds = seconds_by_kind_[k] / steps_;
    if (seconds > 0) result.breakdown.emplace_back(to_text(kind), seconds);
    step.add(seconds, basis_by_kind_[k]);
    (is_exchange(kind) ? exchanges : compute).add(seconds, basis_by_kind_[k]);
  }
  const Metric step_metric = step.metric();
  const auto of_kind = [&](TaskKind kind) {
    Sum sum;
    sum.add(seconds_by_kind_[static_cast<std::size_t>(kind)] / steps_,
            basis_by_kind_[static_cast<std::size_t>(kind)]);
    return sum.metric();
  };
  const auto add = [&](const char* name, const char* description, const Metric& metric) {
    result.metrics.push_back({name, description, metric});
  };
  add("step_time", "time of one step, mean over the steps", step_metric);
  add("compute", "kernels on the step's critical path", compute.metric());
  add("dispatch", "dispatch exchanges on the critical path, waiting for late ranks not counted",
      of_kind(TaskKind::dispatch));
  add("combine", "combine exchanges on the critical path, waiting for late ranks not counted",
      of_kind(TaskKind::combine));
  add("exchanges", "all exchanges on the critical path", exchanges.metric());
  const double rank_steps = static_cast<double>(ranks_.size()) * steps_;
  const double waited =
      std::accumulate(ranks_.begin(), ranks_.end(), 0.0,
                      [](double sum, const RankResult& rank) { return sum + rank.wait; });
  const double wait = waited / rank_steps;
  add("wait", "mean over ranks of the time spent waiting for others",
      {wait, "s", wait * step_metric.low / std::max(step_metric.value, 1e-30),
       wait * step_metric.high / std::max(step_metric.value, 1e-30), step_metric.basis});
  if (const Metric hidden = hidden_metric(exchanges.metric().basis); hidden.value > 0)
    add("hidden_exchanges", "mean over ranks of the exchanges' time while kernels ran", hidden);
  double balance = 0;
  for (const auto& load : rank_load_) {
    const double most = static_cast<double>(*std::max_element(load.begin(), load.end()));
    balance += most == 0 ? 1
                         : std::accumulate(load.begin(), load.end(), 0.0) /
                               static_cast<double>(load.size()) / most;
  }
  if (!rank_load_.empty()) {
    add("balancedness", "mean over max token copies of the ranks, mean over MoE layers",
        metric_of(balance / static_cast<double>(rank_load_.size()), "1", Basis::exact));
  }
  if (plan_.resident_experts > 0)
    add("expert_fetch", "experts that a GPU copies from host memory in a step, mean over GPUs",
        metric_of(fetched_.value / rank_steps, "B", Basis::exact));
  const double tokens = static_cast<double>(tokens_) / rank_steps;  // a step and rank
  add("tokens_per_second_per_gpu", "new tokens a second and GPU",
      {tokens / step_metric.value, "1/s", tokens / step_metric.high,
       tokens / std::max(step_metric.low, 1e-30), step_metric.basis});
}

std::string Measurement::expert_cause(int rank, const Waits::Delay& delay) const {
  const std::size_t layers = plan_.placement.size();
  const auto moe = static_cast<std::size_t>(
      std::find(moe_layer_ids_.begin(), moe_layer_ids_.end(), delay.worst_layer) -
      moe_layer_ids_.begin());
  if (layers == 0 || moe >= moe_layer_ids_.size()) return "";
  // Placements number ranks within the EP group.
  const int local_rank = rank % plan_.parallelism.expert;
  const HottestExpert hottest = hottest_expert(
      plan_.placement[moe % layers], expert_load_[moe % layers], local_rank, local_rank + 1);
  return fmt::format(": expert {} of layer {} draws {:.1f}x the mean", hottest.expert,
                     delay.worst_layer, hottest.ratio);
}

void Measurement::fill_straggler(PointResult& result) const {
  const std::vector<Waits::Delay>& delays = waits_.delays();
  const auto worst = std::max_element(
      delays.begin(), delays.end(),
      [](const Waits::Delay& a, const Waits::Delay& b) { return a.total < b.total; });
  if (worst == delays.end() || worst->total <= 0) {
    result.straggler_cause = "no rank is late";
    return;
  }
  result.straggler = static_cast<int>(worst - delays.begin());
  const auto cause = std::max_element(worst->by_kind.begin(), worst->by_kind.end());
  const auto kind = static_cast<TaskKind>(cause - worst->by_kind.begin());
  const double caused =
      std::accumulate(worst->by_kind.begin(), worst->by_kind.end(), 0.0,
                      [](double sum, double part) { return sum + std::max(part, 0.0); });
  const std::string name = is_exchange(kind) ? "ingress of " + to_text(kind) : to_text(kind);
  result.straggler_cause =
      fmt::format("{} is {:.0f} % of its delay",
                  kind == TaskKind::stage_send ? "the length of its pipeline stage" : name,
                  100 * *cause / std::max(caused, 1e-30));
  if (kind == TaskKind::expert_ffn)
    result.straggler_cause += expert_cause(result.straggler, *worst);
}

void Measurement::fill_links(PointResult& result) const {
  std::vector<LinkResult> links;
  for (std::size_t i = 0; i < link_bytes_.size(); ++i) {
    if (link_bytes_[i] == 0) continue;
    const Link& link = cluster_.fabric.links[i];
    const double seconds = link_busy_[i];
    links.push_back({link.name, to_text(link.tier), link_bytes_[i] / steps_,
                     seconds / step_seconds_,
                     exchange_seconds_ > 0 ? seconds / exchange_seconds_ : 0});
  }
  std::stable_sort(links.begin(), links.end(), [](const LinkResult& a, const LinkResult& b) {
    return a.utilisation > b.utilisation;
  });
  links.resize(std::min(links.size(), kMostLinks));
  result.links = std::move(links);
}

}  // namespace moesim
