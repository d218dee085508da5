// Rows on half paths become bytes on links, and these the times of each rank.
#include "sim/plan/link_loads.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "sim/plan/busiest_links.h"
#include "sim/plan/leg_loads.h"
#include "sim/plan/link_shares.h"

namespace moesim {
namespace {

// What the legs of an exchange add up to, beside what stands in the Exchange.
struct Counted {
  std::array<double, 2> across{};  // bytes from one half of the fabric's ranks to the other
  std::vector<Bytes> by_sms;       // by rank: what its SMs move, row overheads included
};

// Adds one leg's bytes to links and ranks, and its messages.
void add_leg(const FabricPaths& paths,
             const LegLoads& loads,
             const ExchangeInputs& inputs,
             Counted& counted,
             Exchange& exchange) {
  const Leg& leg = loads.leg;
  const auto sent_rows = rows_by_rank(paths.leaving(), loads.on_leaving);
  const auto received_rows = rows_by_rank(paths.entering(), loads.on_entering);
  for (std::size_t rank = 0; rank < exchange.sent.size(); ++rank) {
    const auto sent = static_cast<double>(sent_rows[rank]);
    const auto received = static_cast<double>(received_rows[rank]);
    const double kept = leg.rows->at(rank, rank);
    exchange.sent[rank] += Bytes(sent * leg.row_bytes);
    exchange.received[rank] += Bytes(received * leg.row_bytes);
    exchange.kept[rank] += Bytes(kept * leg.row_bytes);
    exchange.message_time[rank] +=
        inputs.timing.per_message * sent * inputs.traffic.messages_per_row / inputs.sm_speed;
    counted.by_sms[rank] +=
        (Bytes(leg.row_bytes) + inputs.timing.sm_row_overhead) * (std::max(sent, received) + kept);
  }
  const auto on_link = rows_by_link(paths, loads);
  for (std::size_t link = 0; link < on_link.size(); ++link)
    exchange.link_bytes[link] += Bytes(static_cast<double>(on_link[link]) * leg.row_bytes);
  counted.across[0] += static_cast<double>(loads.forward) * leg.row_bytes;
  counted.across[1] += static_cast<double>(loads.backward) * leg.row_bytes;
}

void keep_flows(const Leg& leg, Exchange& exchange) {
  std::optional<RowCounts> turned;
  if (leg.transposed) turned = leg.rows->transposed();
  const RowCounts& counts = turned ? *turned : *leg.rows;
  for (std::size_t source = 0; source < counts.sources(); ++source)
    for (const auto [destination, rows] : counts.of(source))
      if (source != destination)
        exchange.flows.push_back(
            {id_of<Rank>(source), id_of<Rank>(destination), Bytes(rows * leg.row_bytes)});
}

Exchange empty_exchange(const FabricPaths& paths, int ranks, const ExchangeInputs& inputs) {
  const auto size = static_cast<std::size_t>(ranks);
  Exchange exchange;
  exchange.algorithm = inputs.algorithm;
  exchange.group_ranks = inputs.peers + 1;
  if (inputs.traffic.row_per_copy) exchange.bytes_per_copy = inputs.traffic.legs.front().row_bytes;
  exchange.basis = inputs.timing.basis;
  exchange.speed_taken = inputs.speed_taken;
  exchange.slowdown = inputs.timing.slowdown;
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

// What a protocol decides: fixed, efficiencies, transfer and busiest.
void follow_protocol(const ExchangeTiming::Protocol& protocol,
                     const FabricPaths& paths,
                     const ExchangeInputs& inputs,
                     const std::vector<LegLoads>& legs,
                     Exchange& exchange) {
  exchange.fixed = protocol.fixed + inputs.timing.per_expert * inputs.experts;
  exchange.nvlink_efficiency = protocol.nvlink_efficiency;
  exchange.nic_efficiency = protocol.nic_efficiency;
  exchange.transfer.assign(exchange.sent.size(), Seconds(0));
  exchange.busiest.assign(exchange.sent.size(), FabricPaths::kNoLink);
  const BusiestLinks busiest(paths, exchange);
  for (const LegLoads& loads : legs) busiest.add(loads, exchange);
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
  std::vector<LegLoads> legs;
  for (const Leg& leg : inputs.traffic.legs) {
    legs.push_back(load_paths(paths, leg, exchange.latency));
    add_leg(paths, legs.back(), inputs, counted, exchange);
  }
  time_own_work(inputs, counted, exchange);
  follow_protocol(inputs.timing.protocol, paths, inputs, legs, exchange);
  if (inputs.timing.second) {
    Exchange other = exchange;
    follow_protocol(*inputs.timing.second, paths, inputs, legs, other);
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
    for (const LegLoads& loads : legs) keep_flows(loads.leg, exchange);
  if (inputs.keep_shares) keep_shares(paths, legs, exchange);
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
