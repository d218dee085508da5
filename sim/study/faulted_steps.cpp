// A clock that steps and recoveries move on, and the pool as the faults so far have left it.
#include "sim/study/faulted_steps.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace moesim {
namespace {

// Sums over the steps between two changes of the pool.
struct Span {
  int steps = 0;
  double seconds = 0, tokens = 0;

  void add(const ReplayedStep& step) {
    ++steps;
    seconds += step.timeline.makespan.count();
    tokens += static_cast<double>(step.graph.tokens);
  }
  PoolPace pace() const {
    if (steps == 0) return {};
    return {steps, seconds / steps, tokens / seconds};
  }
};

class FaultedSteps {
 public:
  FaultedSteps(const PoolState& healthy, const Scenario& scenario, Fidelity fidelity)
      : healthy_(healthy), scenario_(scenario), fidelity_(fidelity) {
    for (const Fault& fault : scenario.faults) {
      results_.emplace_back();
      results_.back().fault = to_text(fault);
      results_.back().at = fault.at.count();
    }
  }

  // The ledger that ended the steps, where one did.
  std::optional<MemoryLedger> run(Measurement& measurement, PointResult& result) {
    for (std::size_t step = 0; step < healthy_.batches.size(); ++step) {
      std::optional<ReplayedStep> done;
      while (!done && !unfit_) {
        apply_due(step);
        if (!unfit_) done = try_step(step, result);
      }
      if (unfit_) break;
      clock_ += done->timeline.makespan;
      spans_.back().add(*done);
      measurement.add(done->graph, done->timeline, &now().pool.cluster);
    }
    fill(result);
    return std::move(unfit_);
  }

 private:
  const PoolState& now() const { return changed_ ? *changed_ : healthy_; }
  void apply_due(std::size_t step);
  void apply(const Fault& fault, FaultResult& result);
  std::optional<ReplayedStep> try_step(std::size_t step, PointResult& result);
  PoolPace healthy_pace() const;
  void fill(PointResult& result);

  const PoolState& healthy_;
  const Scenario& scenario_;
  Fidelity fidelity_;
  std::unique_ptr<const PoolState> changed_;  // since the first fault
  Seconds clock_{};                           // since the first step began
  Seconds lost_{};                            // of the step that the next lost rank interrupts
  std::size_t applied_ = 0;                   // faults
  std::vector<Span> spans_{1};                // the first before all faults
  std::vector<std::size_t> span_before_;      // by applied fault; the one after follows it
  std::vector<FaultResult> results_;          // by fault
  std::optional<MemoryLedger> unfit_;
};

// What is due before a step that would begin now. Recovery takes time, so that more may become due.
void FaultedSteps::apply_due(std::size_t step) {
  const std::size_t before = spans_.size() - 1;
  while (!unfit_ && applied_ < results_.size() && scenario_.faults[applied_].at <= clock_) {
    results_[applied_].step = static_cast<int>(step);
    apply(scenario_.faults[applied_], results_[applied_]);
    span_before_.push_back(before);
    ++applied_;
  }
  if (!span_before_.empty() && span_before_.back() == before) spans_.emplace_back();
}

void FaultedSteps::apply(const Fault& fault, FaultResult& result) {
  FaultEffect effect = apply_fault(now().pool, fault, healthy_.source.model);
  try {
    changed_ = std::make_unique<const PoolState>(std::move(effect.pool), healthy_.source,
                                                 scenario_.plan.max_tokens_per_rank);
  } catch (const InputError& error) {
    throw InputError(fault.where, "with " + to_text(fault) + ": " + error.what());
  }
  clock_ += effect.recovery;
  result.recovery = effect.recovery.count();
  result.reloaded = effect.reloaded.value;
  if (fault.kind != FaultKind::rank_lost) return;
  result.lost = std::exchange(lost_, Seconds(0)).count();
  MemoryLedger ledger = changed_->ledger();
  result.memory = ledger.verdict;
  if (!ledger.fits) unfit_ = std::move(ledger);
}

// Nothing where a rank is lost before the step has finished: the clock then stands at the loss.
std::optional<ReplayedStep> FaultedSteps::try_step(std::size_t step, PointResult& result) {
  const bool first = spans_.back().steps == 0;
  ReplayedStep done =
      replay_step(now().inputs(), now().batches[step], fidelity_, first ? &result : nullptr);
  const Seconds end = clock_ + done.timeline.makespan;
  for (std::size_t i = applied_; i < results_.size(); ++i) {
    const Fault& fault = scenario_.faults[i];
    if (fault.kind != FaultKind::rank_lost || fault.at >= end) continue;
    lost_ = fault.at - clock_;
    clock_ = fault.at;
    return std::nullopt;
  }
  return done;
}

// Without a step before the first fault, one is replayed for comparison.
PoolPace FaultedSteps::healthy_pace() const {
  if (spans_.front().steps > 0) return spans_.front().pace();
  Span span;
  span.add(replay_step(healthy_.inputs(), healthy_.batches.front(), fidelity_));
  PoolPace pace = span.pace();
  pace.steps = 0;
  return pace;
}

void FaultedSteps::fill(PointResult& result) {
  const PoolPace healthy = applied_ > 0 ? healthy_pace() : PoolPace{};
  for (std::size_t i = 0; i < applied_; ++i) {
    const std::size_t before = span_before_[i];
    results_[i].before = before == 0 ? healthy : spans_[before].pace();
    results_[i].after = spans_[before + 1].pace();
    results_[i].remaining = results_[i].after.throughput / healthy.throughput;
  }
  result.notes.emplace_back(
      "Figures of the whole point are means over the finished steps, those before and after the "
      "faults together; the table of faults tells them apart.");
  const bool lost = std::any_of(scenario_.faults.begin(), scenario_.faults.end(),
                                [](auto& fault) { return fault.kind == FaultKind::rank_lost; });
  if (lost) {
    result.notes.emplace_back(
        "Recovery is the reloading of experts from host memory at the host link's datasheet rate; "
        "noticing the loss, rebuilding communicators and computing the KV cache of the moved "
        "requests again come on top.");
  }
  result.faults = std::move(results_);
}

}  // namespace

std::optional<MemoryLedger> replay_faulted_steps(const PoolState& healthy,
                                                 const Scenario& scenario,
                                                 Fidelity fidelity,
                                                 Measurement& measurement,
                                                 PointResult& result) {
  FaultedSteps steps(healthy, scenario, fidelity);
  std::optional<MemoryLedger> unfit = steps.run(measurement, result);
  const bool none_finished = std::all_of(
      result.faults.begin(), result.faults.end(),
      [](const FaultResult& fault) { return fault.before.steps == 0 && fault.after.steps == 0; });
  return none_finished ? std::move(unfit) : std::nullopt;
}

}  // namespace moesim
