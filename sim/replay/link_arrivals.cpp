// Fidelity `links`: every link a group loads carries one transfer of the group's bytes, and a rank
// has everything when the links on all paths into it have drained. A rank watches one link that
// has not; when that drains it looks on from where it stopped, so that it passes each of its paths
// once. Formulas: docs/models.md, "All-to-all".
#include <algorithm>
#include <bit>
#include <deque>

#include "sim/replay/arrivals.h"

namespace moesim {
namespace {

constexpr int kDrained = -2, kUnwatched = -1;

// Visits set bits of a row from `first` on, while `visit` says to go on; returns the bit at which
// it stopped, or the row's size in bits.
template <class Visit>
std::size_t each_bit(std::span<const std::uint64_t> row, std::size_t first, const Visit& visit) {
  for (std::size_t word = first / 64; word < row.size(); ++word) {
    std::uint64_t bits = row[word];
    if (word == first / 64) bits &= ~std::uint64_t{0} << (first % 64);
    for (; bits != 0; bits &= bits - 1) {
      const std::size_t bit = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      if (!visit(bit)) return bit;
    }
  }
  return row.size() * 64;
}

class LinkArrivals;

// One group of ranks in its present exchange.
class Group : public TransferEnd {
 public:
  Group(LinkArrivals& all, std::size_t first) : all_(all), first_(first) {}
  void enter(const Turn& turn, std::span<const LinkShare> shares);
  double await(const Turn& turn, std::size_t rank);
  void arrived(std::uint32_t share) override;

  bool contended = false;

 private:
  bool watch(std::size_t rank);
  bool pending(LinkId link) const { return watchers_[index(link)] != kDrained; }
  void add_watcher(LinkId link, std::size_t rank);

  LinkArrivals& all_;
  std::size_t first_;  // rank
  Turn turn_;
  bool entered_ = false;
  std::span<const LinkShare> shares_;
  std::vector<int> watchers_;  // by link: kDrained, kUnwatched, or the first rank that watches it
};

class LinkArrivals : public Arrivals {
 public:
  LinkArrivals(StepRun& run, const FabricPaths& paths, bool every_link);
  void begin(const Turn&, std::size_t) override {}
  double await(const Turn& turn, std::size_t rank, double /*ready*/) override {
    Group& group = groups_[turn.grouping][rank / turn.group_ranks];
    group.enter(turn, shares_of(turn, rank / turn.group_ranks));
    return group.await(turn, rank);
  }
  bool from_own_start() const override { return false; }

  std::span<const LinkShare> shares_of(const Turn& turn, std::size_t group) const {
    const auto& shares = run.exchange(turn).shares;
    const auto [first, last] =
        std::equal_range(shares.begin(), shares.end(), LinkShare{int(group), {}, {}},
                         [](const LinkShare& a, const LinkShare& b) { return a.group < b.group; });
    return {first, last};
  }

  StepRun& run;
  const FabricPaths& paths;
  std::vector<int> next_watcher;         // by rank: of the same link; -1: none
  std::vector<std::size_t> next_source;  // by rank: whose path into it to look at next

 private:
  void find_contended();
  std::vector<std::deque<Group>> groups_;  // by grouping
};

LinkArrivals::LinkArrivals(StepRun& step, const FabricPaths& fabric_paths, bool every_link)
    : run(step),
      paths(fabric_paths),
      next_watcher(step.ranks(), -1),
      next_source(step.ranks()),
      groups_(step.groupings.size()) {
  for (std::size_t grouping = 0; grouping < groups_.size(); ++grouping) {
    for (std::size_t first = 0; first < run.ranks(); first += run.groupings[grouping].of_group)
      groups_[grouping].emplace_back(*this, first).contended = every_link;
  }
  if (!every_link) find_contended();
}

// A group alone on its links has them drained when it says: its exchanges follow one another, so
// the engine need not be asked. That is exact.
void LinkArrivals::find_contended() {
  std::vector<const Group*> owner(run.fabric.links.size());
  std::vector<char> several(owner.size());
  const auto each_share = [&](const auto& visit) {
    for (std::size_t task = 0; task < run.graph.tasks.size(); ++task) {
      if (run.graph.tasks[task].exchange < 0) continue;
      const Turn& turn = run.turns[task];
      for (const LinkShare& share : run.exchange(turn).shares)
        visit(groups_[turn.grouping][static_cast<std::size_t>(share.group)], index(share.link));
    }
  };
  each_share([&](const Group& group, std::size_t link) {
    if (owner[link] != nullptr && owner[link] != &group) several[link] = 1;
    owner[link] = &group;
  });
  each_share([&](Group& group, std::size_t link) {
    if (several[link] != 0) group.contended = true;
  });
}

// The first rank to come resets what the exchange before left.
void Group::enter(const Turn& turn, std::span<const LinkShare> shares) {
  if (entered_ && turn_.number == turn.number) return;
  entered_ = true;
  turn_ = turn;
  shares_ = shares;
  if (contended) {
    watchers_.assign(all_.run.fabric.links.size(), kDrained);
    for (const LinkShare& share : shares_) watchers_[index(share.link)] = kUnwatched;
    return;
  }
  const Exchange& exchange = all_.run.exchange(turn);
  for (const LinkShare& share : shares_)
    all_.run.drained(
        turn.exchange, share.link,
        all_.run.now() + busy_time(exchange, all_.run.fabric, share.link, share.bytes).count());
}

double Group::await(const Turn& turn, std::size_t rank) {
  StepRun& run = all_.run;
  const Exchange& exchange = run.exchange(turn);
  if (!contended) return run.now() + exchange.transfer[rank].count();
  for (std::size_t i = rank - first_; i < shares_.size(); i += turn.group_ranks) {
    const double efficiency = reached_share(exchange, run.fabric, shares_[i].link);
    run.start(std::span(&shares_[i].link, 1), shares_[i].bytes.value / efficiency, *this,
              static_cast<std::uint32_t>(i));
  }
  all_.next_source[rank] = 0;
  const LinkId busiest = exchange.busiest[rank];
  if (busiest != LinkId{-1} && pending(busiest)) {
    add_watcher(busiest, rank);
    run.awake[rank]->acquire();
  } else if (watch(rank)) {
    run.awake[rank]->acquire();
  }
  return run.now();
}

void Group::add_watcher(LinkId link, std::size_t rank) {
  all_.next_watcher[rank] = watchers_[index(link)];
  watchers_[index(link)] = static_cast<int>(rank);
}

// Watches the first link into the rank that has not drained; false: there is none.
bool Group::watch(std::size_t rank) {
  const FabricPaths& paths = all_.paths;
  const std::size_t words = (all_.run.ranks() + 63) / 64;
  const auto row = std::span(all_.run.exchange(turn_).senders).subspan(rank * words, words);
  LinkId found{-1};
  const auto drained = [&](LinkId link) {
    if (!pending(link)) return true;
    found = link;
    return false;
  };
  all_.next_source[rank] = each_bit(row, all_.next_source[rank], [&](std::size_t source) {
    return paths.follow(source, rank, drained);
  });
  if (found == LinkId{-1}) return false;
  add_watcher(found, rank);
  return true;
}

void Group::arrived(std::uint32_t share) {
  const LinkId link = shares_[share].link;
  all_.run.drained(turn_.exchange, link, all_.run.now());
  int rank = std::exchange(watchers_[index(link)], kDrained);
  while (rank >= 0) {
    const auto at = static_cast<std::size_t>(rank);
    rank = all_.next_watcher[at];
    if (!watch(at)) all_.run.awake[at]->release();
  }
}

}  // namespace

std::unique_ptr<Arrivals> link_arrivals(StepRun& run, const FabricPaths& paths, bool every_link) {
  return std::make_unique<LinkArrivals>(run, paths, every_link);
}

}  // namespace moesim
