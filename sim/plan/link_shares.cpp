// Pairs come group by group, for none join two; so one row of counts serves all groups.
#include "sim/plan/link_shares.h"

#include <algorithm>
#include <utility>

#include "sim/plan/leg_pairs.h"

namespace moesim {
namespace {

void add_shares(const FabricPaths& paths, const Leg& leg, Exchange& exchange) {
  const auto of_group = static_cast<std::size_t>(exchange.group_ranks);
  std::vector<std::uint64_t> rows_on(paths.bandwidth().size());
  std::vector<LinkId> loaded;
  int group = 0;
  const auto flush = [&] {
    for (const LinkId link : loaded) {
      const auto rows = static_cast<double>(std::exchange(rows_on[index(link)], 0));
      exchange.shares.push_back({group, link, Bytes(rows * leg.row_bytes)});
    }
    loaded.clear();
  };
  for_each_pair(
      paths, leg,
      [&](std::size_t source, std::size_t destination, std::uint32_t rows, FabricPaths::Path path) {
        const int now = static_cast<int>(source / of_group);
        if (now != group) flush();
        group = now;
        paths.follow(source, destination, path, [&](LinkId link) {
          if (rows_on[index(link)] == 0) loaded.push_back(link);
          rows_on[index(link)] += rows;
          return true;
        });
      });
  flush();
}

// One share a group and link, in this order.
void merge_shares(std::vector<LinkShare>& shares) {
  std::stable_sort(shares.begin(), shares.end(), [](const LinkShare& a, const LinkShare& b) {
    return std::pair(a.group, index(a.link)) < std::pair(b.group, index(b.link));
  });
  std::size_t last = 0;
  for (std::size_t i = 1; i < shares.size(); ++i) {
    if (shares[i].group == shares[last].group && shares[i].link == shares[last].link)
      shares[last].bytes += shares[i].bytes;
    else
      shares[++last] = shares[i];
  }
  if (!shares.empty()) shares.resize(last + 1);
}

}  // namespace

void keep_shares(const FabricPaths& paths, const std::vector<LegLoads>& legs, Exchange& exchange) {
  const std::size_t ranks = exchange.sent.size(), words = (ranks + 63) / 64;
  exchange.senders.assign(ranks * words, 0);
  for (const LegLoads& loads : legs) {
    for_each_pair(
        paths, loads.leg,
        [&](std::size_t source, std::size_t destination, std::uint32_t, FabricPaths::Path) {
          exchange.senders[destination * words + source / 64] |= std::uint64_t{1} << (source % 64);
        });
  }
  exchange.shares.clear();
  if (static_cast<std::size_t>(exchange.group_ranks) == ranks) {
    for (std::size_t link = 0; link < exchange.link_bytes.size(); ++link)
      if (exchange.link_bytes[link].value > 0)
        exchange.shares.push_back({0, id_of<LinkId>(link), exchange.link_bytes[link]});
    return;
  }
  for (const LegLoads& loads : legs) add_shares(paths, loads.leg, exchange);
  merge_shares(exchange.shares);
}

}  // namespace moesim
