// Fidelity `bound`: the engine is told one delay a rank, of the busiest link on any path into it.
#include <algorithm>

#include "sim/replay/arrivals.h"

namespace moesim {
namespace {

class ToldArrivals : public Arrivals {
 public:
  explicit ToldArrivals(StepRun& run) : run_(run) {
    run_.timeline.begun.resize(run_.graph.exchanges.size());
  }

  void begin(const Turn&, std::size_t) override {}

  double await(const Turn& turn, std::size_t rank, double ready) override {
    Seconds& begun = run_.timeline.begun[turn.exchange];
    begun = std::max(begun, Seconds(ready));
    return ready + run_.exchange(turn).transfer[rank].count();
  }

  bool told() const override { return true; }
  bool from_own_start() const override { return false; }

 private:
  StepRun& run_;
};

}  // namespace

std::unique_ptr<Arrivals> told_arrivals(StepRun& run) {
  return std::make_unique<ToldArrivals>(run);
}

}  // namespace moesim
