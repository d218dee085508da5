// Second halves are looked at rank by rank. Of first halves a rank needs only the busiest, so
// sources are tried from the busiest on, until none left can be busier than what was found.
#include "sim/plan/busiest_links.h"

#include <algorithm>

#include "sim/plan/leg_pairs.h"

namespace moesim {

BusiestLinks::BusiestLinks(const FabricPaths& paths, const Exchange& exchange)
    : paths_(paths), busy_(exchange.link_bytes.size()), of_run_(paths.runs()) {
  for (std::size_t link = 0; link < busy_.size(); ++link) {
    const double efficiency =
        paths.scale_up(id_of<LinkId>(link)) ? exchange.nvlink_efficiency : exchange.nic_efficiency;
    busy_[link] = exchange.link_bytes[link].value / (paths.bandwidth()[link] * efficiency);
  }
  for (std::size_t run = 0; run < of_run_.size(); ++run)
    for (const LinkId link : paths.links_of(run)) of_run_[run].meet({busy_[index(link)], link});
}

BusiestLinks::Busy BusiestLinks::of(const FabricPaths::Half& half) const {
  Busy busy = of_run_[half.run];
  if (half.port != FabricPaths::kNoLink) busy.meet({busy_[index(half.port)], half.port});
  return busy;
}

void BusiestLinks::meet_entering(const LegLoads& loads, std::vector<Busy>& into) const {
  const FabricPaths::Halves& entering = paths_.entering();
  for (std::size_t rank = 0; rank < into.size(); ++rank)
    for (std::size_t i = entering.first[rank]; i < entering.first[rank + 1]; ++i)
      if (loads.on_entering[i] > 0) into[rank].meet(of(entering.all[i]));
}

std::vector<BusiestLinks::Source> BusiestLinks::sources_by_most(const LegLoads& loads) const {
  const FabricPaths::Halves& leaving = paths_.leaving();
  std::vector<Source> sources;
  for (std::size_t rank = 0; rank < paths_.ranks(); ++rank) {
    Source source{0, static_cast<std::uint32_t>(rank)};
    for (std::size_t i = leaving.first[rank]; i < leaving.first[rank + 1]; ++i)
      if (loads.on_leaving[i] > 0) source.most = std::max(source.most, of(leaving.all[i]).time);
    if (source.most > 0) sources.push_back(source);
  }
  std::stable_sort(sources.begin(), sources.end(),
                   [](const Source& a, const Source& b) { return a.most > b.most; });
  return sources;
}

namespace {

bool sends(const Leg& leg, std::size_t source, std::size_t destination) {
  return (leg.transposed ? leg.rows->at(destination, source) : leg.rows->at(source, destination)) !=
         0;
}

}  // namespace

// False where it gave up: with hot links between ranks many sources look busier than they are to
// one rank, and a walk over all pairs is cheaper than looking them up.
bool BusiestLinks::meet_leaving(const Leg& leg,
                                const std::vector<Source>& sources,
                                std::vector<Busy>& into) const {
  constexpr std::size_t kLookupCost = 64;  // a lookup against a step of the walk
  std::size_t budget = into.size() + leg.rows->entries() / kLookupCost;
  for (std::size_t rank = 0; rank < into.size(); ++rank) {
    for (const auto [most, source] : sources) {
      if (most <= into[rank].time) break;
      if (budget-- == 0) return false;
      if (source == rank || !sends(leg, source, rank)) continue;
      const std::size_t first = paths_.leaving().first[source];
      into[rank].meet(of(paths_.leaving().all[first + paths_.paths_from(source)[rank].leaving]));
    }
  }
  return true;
}

void BusiestLinks::meet_every_leaving(const Leg& leg, std::vector<Busy>& into) const {
  std::vector<Busy> of_half;
  for (const FabricPaths::Half& half : paths_.leaving().all) of_half.push_back(of(half));
  for_each_pair(paths_, leg,
                [&, &first = paths_.leaving().first](std::size_t source, std::size_t destination,
                                                     std::uint32_t, FabricPaths::Path path) {
                  into[destination].meet(of_half[first[source] + path.leaving]);
                });
}

void BusiestLinks::add(const LegLoads& loads, Exchange& exchange) const {
  std::vector<Busy> into(exchange.transfer.size());
  for (std::size_t rank = 0; rank < into.size(); ++rank)
    into[rank] = {exchange.transfer[rank].count(), exchange.busiest[rank]};
  meet_entering(loads, into);
  if (!meet_leaving(loads.leg, sources_by_most(loads), into)) meet_every_leaving(loads.leg, into);
  for (std::size_t rank = 0; rank < into.size(); ++rank) {
    exchange.transfer[rank] = Seconds(into[rank].time);
    exchange.busiest[rank] = into[rank].link;
  }
}

}  // namespace moesim
