// Fidelity `bound`: the engine is told one delay a rank, of the busiest link on any path into it.
#include "sim/replay/arrivals.h"

namespace moesim {
namespace {

class ToldArrivals : public Arrivals {
 public:
  explicit ToldArrivals(StepRun& run) : run_(run) {}

  void begin(const Turn&, std::size_t) override {}

  double await(const Turn& turn, std::size_t rank, double ready) override {
    const Exchange& exchange = run_.exchange(turn);
    if (rank % turn.group_ranks == 0) {
      for (std::size_t link = 0; link < exchange.link_bytes.size(); ++link) {
        if (exchange.link_bytes[link].value == 0) continue;
        const Seconds busy = busy_time(exchange, run_.fabric, id_of<LinkId>(link));
        run_.drained(turn.exchange, id_of<LinkId>(link), ready + busy.count());
      }
    }
    return ready + exchange.transfer[rank].count();
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
