// Two passes over the pairs of ranks that exchange anything: load the links, then look for each
// rank's busiest one.
#include "sim/plan/link_loads.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/plan/leg_pairs.h"
#include "sim/plan/link_shares.h"

namespace moesim {
namespace {

constexpr LinkId kNoLink{-1};

struct LegCounts {  // in rows
  std::vector<std::uint64_t> sent, received, on_link, on_middle;
  std::uint64_t forward = 0, backward = 0;  // across the halves of the fabric's ranks
};

LegCounts count_leg(const FabricPaths& paths, const Leg& leg) {
  const std::size_t half = paths.ranks() / 2;
  LegCounts counts;
  counts.sent.resize(paths.ranks());
  counts.received.resize(paths.ranks());
  counts.on_link.resize(paths.bandwidth().size());
  counts.on_middle.resize(paths.middles().size());
  for_each_pair(
      paths, leg,
      [&](std::size_t source, std::size_t destination, std::uint32_t rows, std::uint32_t id) {
        counts.sent[source] += rows;
        counts.received[destination] += rows;
        if (source < half && destination >= half) counts.forward += rows;
        if (source >= half && destination < half) counts.backward += rows;
        counts.on_middle[id] += rows;
        const FabricPaths::Middle& middle = paths.middles()[id];
        if (middle.out != FabricPaths::kNoPort)
          counts.on_link[index(paths.out_port(source, middle.out))] += rows;
        if (middle.in != FabricPaths::kNoPort)
          counts.on_link[index(paths.in_port(destination, middle.in))] += rows;
      });
  for (std::size_t id = 0; id < counts.on_middle.size(); ++id) {
    if (counts.on_middle[id] == 0) continue;
    for (const LinkId link : paths.links_of(paths.middles()[id]))
      counts.on_link[index(link)] += counts.on_middle[id];
  }
  return counts;
}

// What the legs of an exchange add up to, beside what stands in the Exchange.
struct Counted {
  std::array<double, 2> across{};  // bytes from one half of the fabric's ranks to the other
  std::vector<Bytes> by_sms;       // by rank: what its SMs move, row overheads included
};

// Adds one leg's bytes to links and ranks, and its messages.
void add_leg(const FabricPaths& paths,
             const Leg& leg,
             const ExchangeInputs& inputs,
             Counted& counted,
             Exchange& exchange) {
  const LegCounts counts = count_leg(paths, leg);
  for (std::size_t rank = 0; rank < exchange.sent.size(); ++rank) {
    const auto sent = static_cast<double>(counts.sent[rank]);
    const auto received = static_cast<double>(counts.received[rank]);
    const double kept = leg.rows->at(rank, rank);
    exchange.sent[rank] += Bytes(sent * leg.row_bytes);
    exchange.received[rank] += Bytes(received * leg.row_bytes);
    exchange.kept[rank] += Bytes(kept * leg.row_bytes);
    exchange.message_time[rank] +=
        inputs.timing.per_message * sent * inputs.traffic.messages_per_row / inputs.sm_speed;
    counted.by_sms[rank] +=
        (Bytes(leg.row_bytes) + inputs.timing.sm_row_overhead) * (std::max(sent, received) + kept);
  }
  for (std::size_t link = 0; link < counts.on_link.size(); ++link)
    exchange.link_bytes[link] += Bytes(static_cast<double>(counts.on_link[link]) * leg.row_bytes);
  counted.across[0] += static_cast<double>(counts.forward) * leg.row_bytes;
  counted.across[1] += static_cast<double>(counts.backward) * leg.row_bytes;
}

// A link on the way, and how long it is busy.
struct Busy {
  double time = 0;  // s
  LinkId link = kNoLink;
  void meet(double other_time, LinkId other) {
    if (other_time <= time) return;
    time = other_time;
    link = other;
  }
};

// transfer, busiest and latency by receiving rank.
class BusiestLinks {
 public:
  BusiestLinks(const FabricPaths& paths, const Exchange& exchange)
      : paths_(paths), busy_(exchange.link_bytes.size()), of_middle_(paths.middles().size()) {
    for (std::size_t link = 0; link < busy_.size(); ++link) {
      const double efficiency = paths.scale_up(id_of<LinkId>(link)) ? exchange.nvlink_efficiency
                                                                    : exchange.nic_efficiency;
      busy_[link] = exchange.link_bytes[link].value / (paths.bandwidth()[link] * efficiency);
    }
    for (std::size_t id = 0; id < of_middle_.size(); ++id)
      for (const LinkId link : paths.links_of(paths.middles()[id]))
        of_middle_[id].meet(busy_[index(link)], link);
  }

  void add(const Leg& leg, Exchange& exchange) const {
    for_each_pair(
        paths_, leg,
        [&](std::size_t source, std::size_t destination, std::uint32_t, std::uint32_t id) {
          const FabricPaths::Middle& middle = paths_.middles()[id];
          Busy busiest{exchange.transfer[destination].count(), exchange.busiest[destination]};
          double latency = middle.latency;
          const auto pass = [&](LinkId port) {
            busiest.meet(busy_[index(port)], port);
            latency += paths_.link_latency()[index(port)];
          };
          if (middle.out != FabricPaths::kNoPort) pass(paths_.out_port(source, middle.out));
          busiest.meet(of_middle_[id].time, of_middle_[id].link);
          if (middle.in != FabricPaths::kNoPort) pass(paths_.in_port(destination, middle.in));
          exchange.transfer[destination] = Seconds(busiest.time);
          exchange.busiest[destination] = busiest.link;
          exchange.latency[destination] = std::max(exchange.latency[destination], Seconds(latency));
        });
  }

 private:
  const FabricPaths& paths_;
  std::vector<double> busy_;     // s, by link
  std::vector<Busy> of_middle_;  // by middle
};

void keep_flows(const FabricPaths& paths, const Leg& leg, Exchange& exchange) {
  for_each_pair(
      paths, leg,
      [&](std::size_t source, std::size_t destination, std::uint32_t rows, std::uint32_t) {
        exchange.flows.push_back(
            {id_of<Rank>(source), id_of<Rank>(destination), Bytes(rows * leg.row_bytes)});
      });
}

Exchange empty_exchange(const FabricPaths& paths, int ranks, const ExchangeInputs& inputs) {
  const auto size = static_cast<std::size_t>(ranks);
  Exchange exchange;
  exchange.algorithm = inputs.algorithm;
  exchange.group_ranks = inputs.peers + 1;
  if (inputs.traffic.row_per_copy) exchange.bytes_per_copy = inputs.traffic.legs.front().row_bytes;
  exchange.basis = inputs.timing.basis;
  exchange.sent.resize(size);
  exchange.received.resize(size);
  exchange.kept.resize(size);
  exchange.latency.resize(size);
  exchange.message_time.assign(
      size, inputs.timing.per_message * inputs.traffic.messages_per_peer * inputs.peers);
  exchange.copy_time.resize(size);
  exchange.link_bytes.resize(paths.bandwidth().size());
  return exchange;
}

// What a protocol decides: fixed, efficiencies, transfer, busiest (and latency, which it does not).
void follow_protocol(const ExchangeTiming::Protocol& protocol,
                     const FabricPaths& paths,
                     const ExchangeInputs& inputs,
                     Exchange& exchange) {
  exchange.fixed = protocol.fixed + inputs.timing.per_expert * inputs.experts;
  exchange.nvlink_efficiency = protocol.nvlink_efficiency;
  exchange.nic_efficiency = protocol.nic_efficiency;
  exchange.transfer.assign(exchange.sent.size(), Seconds(0));
  exchange.busiest.assign(exchange.sent.size(), kNoLink);
  const BusiestLinks busiest(paths, exchange);
  for (const Leg& leg : inputs.traffic.legs) busiest.add(leg, exchange);
}

// How often the SMs handle a rank's own tokens: once in, once out. With 2 the B200's table of
// normal mode follows 1 to 22 choices a token (docs/models.md).
constexpr double kSmTokenPasses = 2;

void time_own_work(const ExchangeInputs& inputs, const Counted& counted, Exchange& exchange) {
  const ExchangeTiming& timing = inputs.timing;
  const std::vector<std::uint32_t>& own = inputs.traffic.tokens;
  if (inputs.memory_bandwidth.value > 0)  // read once, written once
    exchange.copy_time.assign(exchange.sent.size(),
                              2 * inputs.traffic.copied / inputs.memory_bandwidth);
  if (own.empty()) return;
  const Bytes token = Bytes(inputs.traffic.token_bytes) + timing.sm_row_overhead;
  const double rate = timing.sm_rate.value * inputs.sm_speed;
  for (std::size_t rank = 0; rank < exchange.sent.size(); ++rank) {
    if (rate > 0)
      exchange.message_time[rank] = std::max(
          exchange.message_time[rank],
          (counted.by_sms[rank] + kSmTokenPasses * own[rank] * token) / BytesPerSecond(rate));
    exchange.copy_time[rank] += timing.per_token * own[rank];
    if (timing.copy_rate.value > 0)
      exchange.copy_time[rank] += Bytes(own[rank] * inputs.traffic.token_bytes) / timing.copy_rate;
  }
}

}  // namespace

Seconds exchange_time(const Exchange& exchange, std::size_t rank) {
  return exchange.fixed + exchange.latency[rank] + exchange.copy_time[rank] +
         std::max(exchange.message_time[rank], exchange.transfer[rank]);
}

Seconds exchange_time(const Exchange& exchange) {
  Seconds longest{};
  for (std::size_t rank = 0; rank < exchange.sent.size(); ++rank)
    longest = std::max(longest, exchange_time(exchange, rank));
  return longest;
}

Exchange make_exchange(const FabricPaths& paths, int ranks, const ExchangeInputs& inputs) {
  Exchange exchange = empty_exchange(paths, ranks, inputs);
  Counted counted;
  counted.by_sms.resize(exchange.sent.size());
  for (const Leg& leg : inputs.traffic.legs) add_leg(paths, leg, inputs, counted, exchange);
  time_own_work(inputs, counted, exchange);
  follow_protocol(inputs.timing.protocol, paths, inputs, exchange);
  if (inputs.timing.second) {
    Exchange other = exchange;
    follow_protocol(*inputs.timing.second, paths, inputs, other);
    if (exchange_time(other) < exchange_time(exchange)) exchange = std::move(other);
  }
  for (const LinkId port : paths.ports())
    exchange.port_bound =
        std::max(exchange.port_bound,
                 exchange.link_bytes[index(port)] / BytesPerSecond(paths.bandwidth()[index(port)]));
  if (paths.bisection().value > 0)
    exchange.bisection_bound =
        Bytes(std::max(counted.across[0], counted.across[1])) / paths.bisection();
  if (inputs.keep_flows)
    for (const Leg& leg : inputs.traffic.legs) keep_flows(paths, leg, exchange);
  if (inputs.keep_shares) keep_shares(paths, inputs.traffic.legs, exchange);
  return exchange;
}

std::vector<Exchange> make_stages(const FabricPaths& paths,
                                  int ranks,
                                  ExchangeInputs inputs,
                                  std::vector<ExchangeTraffic> stages) {
  std::vector<Exchange> exchanges;
  exchanges.reserve(stages.size());
  for (ExchangeTraffic& traffic : stages) {
    inputs.traffic = std::move(traffic);
    exchanges.push_back(make_exchange(paths, ranks, inputs));
    inputs.timing.protocol.fixed = Seconds(0);
    if (inputs.timing.second) inputs.timing.second->fixed = Seconds(0);
    inputs.experts = 0;
  }
  return exchanges;
}

}  // namespace moesim
