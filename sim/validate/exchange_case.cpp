// An exchange built as a step builds it, its rows drawn instead of traced.
#include "sim/validate/exchange_case.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace moesim {
namespace {

constexpr int kTokensDrawn = 1024;  // a rank, over all draws
constexpr int kMostDraws = 16;

Seconds mean(const std::vector<Seconds>& times) {
  return std::accumulate(times.begin(), times.end(), Seconds(0)) /
         static_cast<double>(times.size());
}

double total(const RowCounts& counts) {
  double sum = 0;
  for (std::size_t source = 0; source < counts.sources(); ++source)
    for (const auto [destination, rows] : counts.of(source)) sum += rows;
  return sum;
}

// Every rank's copies over all ranks alike.
std::shared_ptr<const RoutedCopies> even_copies(const RoutedCopies& routed) {
  auto even = std::make_shared<RoutedCopies>();
  const auto ranks = static_cast<std::size_t>(routed.ranks);
  const double each = total(routed.copies) / static_cast<double>(ranks * ranks);
  // Counts are whole numbers: rows a thousand times as many, and a thousandth as long, say it.
  std::vector<std::uint32_t> row(ranks);
  for (std::size_t source = 0; source < ranks; ++source) {
    std::fill(row.begin(), row.end(), static_cast<std::uint32_t>(1000 * each));
    even->copies.add_source(row);
  }
  even->ranks = routed.ranks;
  return even;
}

}  // namespace

std::string to_text(ExchangeDirection direction) {
  return direction == ExchangeDirection::dispatch ? "dispatch" : "combine";
}

ExchangeProbe::ExchangeProbe(ExchangeCase described, ExchangeDirection direction)
    : case_(std::move(described)), direction_(direction), paths_(case_.cluster.fabric) {
  const bool within_node = case_.routing.ranks <= case_.cluster.fabric.ranks_per_node;
  query_ = {case_.algorithm,
            to_text(direction),
            within_node,
            case_.cluster.accelerator.name,
            case_.cluster.spec.cpu_proxy,
            case_.calibration,
            false};
  timing_ = exchange_timing(query_);
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at(case_.algorithm, "all-to-all");
  sm_speed_ = sm_speed(case_.shape.sms, part.default_sms);
  const auto& traffic = direction == ExchangeDirection::dispatch ? part.dispatch : part.combine;
  const int draws = std::clamp(kTokensDrawn / case_.routing.tokens_per_rank, 1, kMostDraws);
  for (int i = 0; i < draws; ++i) {
    RoutingDraw draw = case_.routing;
    draw.seed += static_cast<std::uint64_t>(i);
    draws_.push_back(draw_routing(draw));
    traffic_.push_back(traffic(case_.shape, draws_.back()));
  }
}

std::vector<Exchange> ExchangeProbe::exchanges(const std::vector<ExchangeTraffic>& stages,
                                               const ExchangeTiming& timing) const {
  ExchangeInputs inputs;
  inputs.algorithm = case_.algorithm;
  inputs.timing = timing;
  inputs.experts = case_.shape.physical_experts;
  inputs.peers = case_.shape.ranks - 1;
  inputs.sm_speed = sm_speed_;
  inputs.memory_bandwidth = case_.cluster.accelerator.memory_bandwidth;
  return make_stages(paths_, case_.routing.ranks, inputs, stages);
}

// Every stage waits for the one before on all ranks.
std::vector<Seconds> ExchangeProbe::by_rank(const std::vector<ExchangeTraffic>& stages,
                                            const ExchangeTiming& timing) const {
  std::vector<Seconds> times(static_cast<std::size_t>(case_.routing.ranks));
  Seconds before{};
  for (const Exchange& exchange : exchanges(stages, timing)) {
    for (std::size_t rank = 0; rank < times.size(); ++rank)
      times[rank] = before + exchange_time(exchange, rank);
    before = *std::max_element(times.begin(), times.end());
  }
  return times;
}

Seconds ExchangeProbe::time(const ExchangeTiming& timing) const {
  std::vector<Seconds> means;
  for (const auto& stages : traffic_) means.push_back(mean(by_rank(stages, timing)));
  return mean(means);
}

double ExchangeProbe::copies_per_token() const {
  return total(draws_.front()->copies) /
         (1.0 * case_.routing.tokens_per_rank * case_.routing.ranks);
}
double ExchangeProbe::ranks_per_token() const {
  return total(draws_.front()->rank_tokens) /
         (1.0 * case_.routing.tokens_per_rank * case_.routing.ranks);
}
double ExchangeProbe::nodes_per_token() const {
  return total(draws_.front()->node_tokens) /
         (1.0 * case_.routing.tokens_per_rank * case_.routing.ranks);
}

Seconds ExchangeProbe::at_line_rate() const {
  std::vector<Seconds> bounds;
  for (const auto& stages : traffic_) {
    Seconds sum{};
    for (const Exchange& exchange : exchanges(stages, timing_)) sum += exchange.port_bound;
    bounds.push_back(sum);
  }
  return mean(bounds);
}

Seconds ExchangeProbe::uniform() const {
  const auto even = even_copies(*draws_.front());
  const PayloadFormat format =
      direction_ == ExchangeDirection::dispatch ? case_.shape.dispatch : case_.shape.combine;
  ExchangeTraffic traffic;
  traffic.legs = {leg_of(even, even->copies, row_bytes(case_.shape.hidden, format) / 1000)};
  traffic.messages_per_peer = 1;
  return mean(by_rank({traffic}, timing_));
}

}  // namespace moesim
