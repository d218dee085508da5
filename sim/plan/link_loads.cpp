// Two passes over the pairs of ranks that exchange anything: load the links, then look for each
// rank's busiest one.
#include "sim/plan/link_loads.h"

#include <algorithm>

namespace moesim {
namespace {

constexpr LinkId kNoLink{-1};

// Calls visit(source, destination, copies) for every pair of ranks with traffic between them.
template <class Visit>
void for_each_pair(const RoutedCopies& copies, bool transposed, const Visit& visit) {
  const auto ranks = static_cast<std::size_t>(copies.ranks);
  for (std::size_t row = 0; row < ranks; ++row) {
    const std::uint32_t* counts = &copies.copies[row * ranks];
    for (std::size_t column = 0; column < ranks; ++column) {
      if (counts[column] == 0 || row == column) continue;
      if (transposed)
        visit(column, row, counts[column]);
      else
        visit(row, column, counts[column]);
    }
  }
}

struct CopyCounts {  // of one exchange, in token copies
  std::vector<std::uint64_t> sent, received, on_link;
  std::uint64_t forward = 0, backward = 0;  // across the halves of the fabric's ranks
};

CopyCounts count_loads(const FabricPaths& paths, const RoutedCopies& copies, bool transposed) {
  const auto ranks = static_cast<std::size_t>(copies.ranks);
  const std::size_t half = paths.ranks() / 2;
  CopyCounts counts;
  counts.sent.resize(ranks);
  counts.received.resize(ranks);
  counts.on_link.resize(paths.bandwidth().size());
  for_each_pair(copies, transposed,
                [&](std::size_t source, std::size_t destination, std::uint32_t count) {
                  counts.sent[source] += count;
                  counts.received[destination] += count;
                  if (source < half && destination >= half) counts.forward += count;
                  if (source >= half && destination < half) counts.backward += count;
                  for (const LinkId link : paths.path(source, destination))
                    counts.on_link[index(link)] += count;
                });
  return counts;
}

// transfer, busiest and latency by receiving rank.
void find_busiest(const FabricPaths& paths,
                  const RoutedCopies& copies,
                  bool transposed,
                  Exchange& exchange) {
  std::vector<double> busy(exchange.link_bytes.size());  // s
  for (std::size_t link = 0; link < busy.size(); ++link)
    busy[link] = exchange.link_bytes[link].value / paths.bandwidth()[link];
  for_each_pair(
      copies, transposed, [&](std::size_t source, std::size_t destination, std::uint32_t) {
        double transfer = exchange.transfer[destination].count();
        for (const LinkId link : paths.path(source, destination)) {
          if (busy[index(link)] <= transfer) continue;
          transfer = busy[index(link)];
          exchange.busiest[destination] = link;
        }
        exchange.transfer[destination] = Seconds(transfer);
        exchange.latency[destination] =
            std::max(exchange.latency[destination], Seconds(paths.latency(source, destination)));
      });
  for (const LinkId port : paths.ports())
    exchange.port_bound = std::max(exchange.port_bound, Seconds(busy[index(port)]));
}

void fill_ranks(const RoutedCopies& copies,
                const CopyCounts& counts,
                const ExchangeInputs& inputs,
                Exchange& exchange) {
  const auto ranks = static_cast<std::size_t>(copies.ranks);
  const double row = inputs.traffic.bytes_per_copy;
  const double of_peers = inputs.traffic.messages_per_peer * inputs.peers;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const auto sent = static_cast<double>(counts.sent[rank]);
    exchange.sent.emplace_back(sent * row);
    exchange.received.emplace_back(static_cast<double>(counts.received[rank]) * row);
    exchange.kept.emplace_back(copies.copies[rank * ranks + rank] * row);
    exchange.message_time.push_back(inputs.timing.per_message *
                                    (sent * inputs.traffic.messages_per_copy + of_peers));
  }
  exchange.transfer.resize(ranks);
  exchange.latency.resize(ranks);
  exchange.busiest.assign(ranks, kNoLink);
}

}  // namespace

Exchange make_exchange(const FabricPaths& paths,
                       const RoutedCopies& copies,
                       const ExchangeInputs& inputs) {
  const bool transposed = inputs.traffic.transposed;
  const double row = inputs.traffic.bytes_per_copy;
  const CopyCounts counts = count_loads(paths, copies, transposed);
  Exchange exchange;
  exchange.algorithm = inputs.algorithm;
  exchange.group_ranks = inputs.peers + 1;
  exchange.bytes_per_copy = row;
  exchange.fixed = inputs.timing.fixed + inputs.timing.per_expert * inputs.experts;
  exchange.efficiency = inputs.timing.efficiency;
  exchange.basis = inputs.timing.basis;
  fill_ranks(copies, counts, inputs, exchange);
  for (const std::uint64_t on_link : counts.on_link)
    exchange.link_bytes.emplace_back(static_cast<double>(on_link) * row);
  find_busiest(paths, copies, transposed, exchange);
  if (paths.bisection().value > 0)
    exchange.bisection_bound =
        Bytes(static_cast<double>(std::max(counts.forward, counts.backward)) * row) /
        paths.bisection();
  if (inputs.keep_flows)
    for_each_pair(copies, transposed,
                  [&](std::size_t source, std::size_t destination, std::uint32_t count) {
                    exchange.flows.push_back(
                        {id_of<Rank>(source), id_of<Rank>(destination), Bytes(count * row)});
                  });
  return exchange;
}

}  // namespace moesim
