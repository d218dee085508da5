// Fidelities `flows` and `paths`: the bytes from rank to rank as transfers on their paths, from
// each source's own start on. `paths` leaves out links that cannot limit anything and joins the
// flows of one source and destination.
#include <algorithm>
#include <array>
#include <deque>

#include "sim/replay/arrivals.h"
#include "sim/replay/flow_table.h"

namespace moesim {
namespace {

class FlowArrivals;

struct ExchangeFlows : TransferEnd {  // of one turn of a grouping
  ExchangeFlows(FlowArrivals& arrivals, const Turn& of, FlowTable flows)
      : all(arrivals), turn(of), table(std::move(flows)) {}
  void arrived(std::uint32_t transfer) override;

  FlowArrivals& all;
  Turn turn;
  FlowTable table;
};

class FlowArrivals : public Arrivals {
 public:
  FlowArrivals(StepRun& step, bool merged);
  void begin(const Turn& turn, std::size_t rank) override;
  double await(const Turn& turn, std::size_t rank, double ready) override;
  bool from_own_start() const override { return true; }

  StepRun& run;
  // Who sends to a rank in the next turn of the grouping is of its group and cannot start that turn
  // before the whole group has started this one, so two turns are on their way at most.
  struct Grouping {
    std::deque<ExchangeFlows> turns;
    std::array<std::vector<std::uint32_t>, 2> missing;  // [turn % 2][rank]: transfers
  };
  std::vector<Grouping> groupings;
  std::vector<const ExchangeFlows*> awaited;  // by rank, while it waits
};

FlowArrivals::FlowArrivals(StepRun& step, bool merged)
    : run(step), groupings(step.groupings.size()), awaited(step.ranks()) {
  std::vector<FlowTable> tables = FlowTable::of_step(run.graph, run.fabric, merged);
  for (std::size_t task = 0; task < run.graph.tasks.size(); ++task) {
    if (run.graph.tasks[task].exchange < 0) continue;
    const Turn& turn = run.turns[task];
    groupings[turn.grouping].turns.emplace_back(*this, turn, std::move(tables[turn.exchange]));
  }
  for (Grouping& grouping : groupings) {
    for (std::size_t turn = 0; turn < std::min<std::size_t>(2, grouping.turns.size()); ++turn)
      grouping.missing[turn] = grouping.turns[turn].table.incoming();
  }
}

void FlowArrivals::begin(const Turn& turn, std::size_t rank) {
  ExchangeFlows& flows = groupings[turn.grouping].turns[turn.number];
  for (const auto& transfer : flows.table.from(rank))
    run.start(flows.table.path(transfer), transfer.bytes, flows, flows.table.number(transfer));
}

double FlowArrivals::await(const Turn& turn, std::size_t rank, double /*ready*/) {
  Grouping& grouping = groupings[turn.grouping];
  std::uint32_t& missing = grouping.missing[turn.number % 2][rank];
  if (missing > 0) {
    awaited[rank] = &grouping.turns[turn.number];
    run.awake[rank]->acquire();
    awaited[rank] = nullptr;
  }
  if (turn.number + 2 < grouping.turns.size())
    missing = grouping.turns[turn.number + 2].table.incoming()[rank];
  return run.now();
}

void ExchangeFlows::arrived(std::uint32_t number) {
  StepRun& run = all.run;
  const FlowTable::Transfer& transfer = table.transfers()[number];
  for (const LinkId link : table.path(transfer)) run.drained(turn.exchange, link, run.now());
  auto& missing = all.groupings[turn.grouping].missing[turn.number % 2];
  const std::size_t rank = index(transfer.to);
  if (--missing[rank] == 0 && all.awaited[rank] == this) run.awake[rank]->release();
}

}  // namespace

std::unique_ptr<Arrivals> flow_arrivals(StepRun& run, bool merged) {
  return std::make_unique<FlowArrivals>(run, merged);
}

}  // namespace moesim
