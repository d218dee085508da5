// Sums over the steps by exchange and link; the means and the words are made at the end.
#include "sim/result/link_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/result/hottest_expert.h"

namespace moesim {
namespace {

constexpr std::size_t kMostRows = 40;  // of link_use, for each tier and direction

enum class Direction { out, in, between };  // of a rank's port, or between switches

Direction direction_of(const LinkEnds& ends, int ranks) {
  if (ends.from < static_cast<Vertex>(ranks)) return Direction::out;
  return ends.to < static_cast<Vertex>(ranks) ? Direction::in : Direction::between;
}

int port_rank(const LinkEnds& ends, int ranks) {
  const Direction direction = direction_of(ends, ranks);
  if (direction == Direction::between) return -1;
  return static_cast<int>(direction == Direction::out ? ends.from : ends.to);
}

// By link between switches that is busiest on the way into a rank: of those ranks the one that gets
// most bytes.
void meet_busiest(const Exchange& exchange,
                  const std::vector<LinkEnds>& ends,
                  int ranks,
                  std::map<std::size_t, std::pair<double, int>>& into) {
  for (std::size_t rank = 0; rank < exchange.busiest.size(); ++rank) {
    const LinkId busiest = exchange.busiest[rank];
    if (busiest == LinkId{-1} || port_rank(ends[index(busiest)], ranks) >= 0) continue;
    auto& most = into.try_emplace(index(busiest), 0.0, -1).first->second;
    most = std::max(most, std::pair(exchange.received[rank].value, static_cast<int>(rank)));
  }
}

}  // namespace

LinkFigures::LinkFigures(const Cluster& cluster, const ShardingPlan& plan)
    : cluster_(cluster), plan_(plan), ends_(link_ends(cluster.fabric)), kind_(ends_.size()) {}

void LinkFigures::add(const StepGraph& graph, const Timeline& timeline, const Cluster& now) {
  ++steps_;
  tell_kinds(now.fabric);
  std::size_t number = 0;
  for (std::size_t i = 0; i < graph.tasks.size(); ++i) {
    const Task& task = graph.tasks[i];
    if (task.exchange < 0) continue;
    number = place_of(task, number);
    add_exchange(graph, timeline, i, now.fabric, exchanges_[number++]);
  }
  for (const MoeLayerLoad& load : graph.loads) {
    LayerLoad& sums = loads_[load.layer];
    sums.trace_layer = static_cast<std::size_t>(load.trace_layer);
    sums.by_expert.resize(load.by_expert.size());
    for (std::size_t expert = 0; expert < load.by_expert.size(); ++expert)
      sums.by_expert[expert] += load.by_expert[expert];
  }
}

// Kinds whose links have come to differ are split, and each part goes on from the same sums.
void LinkFigures::tell_kinds(const Fabric& fabric) {
  std::map<std::pair<std::uint32_t, double>, std::uint32_t> known;  // old kind, bandwidth -> kind
  std::vector<std::uint32_t> before;                                // by kind: the old one
  for (std::size_t link = 0; link < kind_.size(); ++link) {
    const auto fresh = static_cast<std::uint32_t>(before.size());
    const auto [found, is_new] =
        known.try_emplace({kind_[link], fabric.links[link].bandwidth.value}, fresh);
    if (is_new) before.push_back(kind_[link]);
    kind_[link] = found->second;
  }
  kinds_ = before.size();
  for (OnLinks& sums : exchanges_) {
    std::vector<double> capacity;
    capacity.reserve(kinds_);
    for (const std::uint32_t old : before) capacity.push_back(sums.capacity[old]);
    sums.capacity = std::move(capacity);
  }
}

// Where the exchange stands, from `first` on: steps have the same ones, but for those that only
// some of them need.
std::size_t LinkFigures::place_of(const Task& task, std::size_t first) {
  const auto from = exchanges_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto found = std::find_if(from, exchanges_.end(), [&](const OnLinks& sums) {
    return sums.layer == task.layer && sums.kind == task.kind &&
           sums.micro_batch == task.micro_batch;
  });
  if (found != exchanges_.end()) return static_cast<std::size_t>(found - exchanges_.begin());
  OnLinks& fresh = *exchanges_.emplace(from);
  fresh.layer = task.layer;
  fresh.micro_batch = task.micro_batch;
  fresh.kind = task.kind;
  for (auto* by_link : {&fresh.bytes, &fresh.busy, &fresh.finish}) by_link->resize(ends_.size());
  fresh.capacity.resize(kinds_);
  return first;
}

void LinkFigures::add_exchange(const StepGraph& graph,
                               const Timeline& timeline,
                               std::size_t number,
                               const Fabric& fabric,
                               OnLinks& sums) const {
  const Task& task = graph.tasks[number];
  const Exchange& exchange = graph.exchanges[static_cast<std::size_t>(task.exchange)];
  const std::size_t links = ends_.size();
  sums.row_per_copy = exchange.bytes_per_copy > 0;
  const RankRange among = graph.among(number);
  double ready = timeline.ready_at(number, among.first).count(), end = 0;
  for (int rank = among.first; rank < among.last; ++rank) {
    ready = std::min(ready, timeline.ready_at(number, rank).count());
    end = std::max(end, timeline.at(number, rank).end.count());
  }
  meet_busiest(exchange, ends_, cluster_.fabric.ranks, sums.into);
  std::vector<char> added(kinds_);
  for (std::size_t link = 0; link < links; ++link) {
    if (std::exchange(added[kind_[link]], 1) == 0)
      sums.capacity[kind_[link]] += fabric.links[link].bandwidth.value * (end - ready);
    if (exchange.link_bytes[link].value == 0) continue;
    const LinkId id = id_of<LinkId>(link);
    sums.bytes[link] += exchange.link_bytes[link].value;
    const Seconds busy = busy_time(exchange, fabric, id);
    const auto at = static_cast<std::size_t>(task.exchange);
    sums.busy[link] += busy.count();
    sums.finish[link] += std::max(timeline.drained_at(at, id, busy).count() - ready, 0.0);
  }
}

double LinkFigures::utilisation(const OnLinks& sums, std::size_t link) const {
  const double capacity = sums.capacity[kind_[link]];
  return capacity > 0 ? sums.bytes[link] / capacity : 0;
}

BottleneckResult LinkFigures::bottleneck(const OnLinks& sums) const {
  BottleneckResult result;
  result.layer = sums.layer;
  result.kind = to_text(sums.kind);
  const auto worst = std::max_element(sums.busy.begin(), sums.busy.end());
  if (worst == sums.busy.end() || *worst <= 0) {
    result.words = "nothing is sent";
    return result;
  }
  const auto link = static_cast<std::size_t>(worst - sums.busy.begin());
  result.link = cluster_.fabric.links[link].name;
  result.tier = to_text(cluster_.fabric.links[link].tier);
  result.bytes = sums.bytes[link] / steps_;
  result.busy = sums.busy[link] / steps_;
  result.finish = sums.finish[link] / steps_;
  result.utilisation = utilisation(sums, link);
  explain(sums, link, result);
  return result;
}

// The expert that draws most on a rank whose port carries the rows of its experts. Where rows do
// not follow copies one by one, those to a node's experts may come by any of its NICs.
void LinkFigures::name_expert(const OnLinks& sums,
                              std::size_t link,
                              BottleneckResult& result) const {
  const auto load = loads_.find(sums.layer);
  if (load == loads_.end() || load->second.trace_layer >= plan_.placement.size()) return;
  const Fabric& fabric = cluster_.fabric;
  const bool any_of_node = !sums.row_per_copy && fabric.links[link].tier != LinkTier::nvlink;
  const int local = result.rank % plan_.parallelism.expert;
  const int of_node = fabric.ranks_per_node;
  const int first = any_of_node ? local / of_node * of_node : local;
  const HottestExpert hottest =
      hottest_expert(plan_.placement[load->second.trace_layer], load->second.by_expert, first,
                     any_of_node ? first + of_node : local + 1);
  result.expert = hottest.expert;
  result.ratio = hottest.ratio;
}

// Whose port the link is, or into which rank most of its bytes go.
void LinkFigures::name_place(const OnLinks& sums,
                             std::size_t link,
                             BottleneckResult& result) const {
  const int ranks = cluster_.fabric.ranks;
  result.rank = port_rank(ends_[link], ranks);
  if (result.rank >= 0) {
    const bool in = direction_of(ends_[link], ranks) == Direction::in;
    result.words = fmt::format("{} of rank {}", in ? "ingress" : "egress", result.rank);
    return;
  }
  const auto into = sums.into.find(link);
  if (into != sums.into.end()) result.rank = into->second.second;
  result.words = result.rank < 0
                     ? result.link
                     : fmt::format("{} on the way into rank {}", result.link, result.rank);
}

// Rows come to the experts in dispatch and leave them in combine; the other way a rank's port
// carries its own tokens.
void LinkFigures::explain(const OnLinks& sums, std::size_t link, BottleneckResult& result) const {
  const Fabric& fabric = cluster_.fabric;
  const Direction direction = direction_of(ends_[link], fabric.ranks);
  name_place(sums, link, result);
  const bool to_experts = sums.kind == TaskKind::dispatch && direction != Direction::out;
  const bool from_experts = sums.kind == TaskKind::combine && direction == Direction::out;
  if (result.rank >= 0 && (to_experts || from_experts)) name_expert(sums, link, result);
  const bool of_moe = sums.kind == TaskKind::dispatch || sums.kind == TaskKind::combine;
  if (result.expert >= 0)
    result.words += fmt::format(": expert {} draws {:.1f}x the mean", result.expert, result.ratio);
  else if (of_moe && direction != Direction::between)
    result.words += ": its own tokens";
}

void LinkFigures::fill(PointResult& result) const {
  for (const OnLinks& sums : exchanges_) result.bottlenecks.push_back(bottleneck(sums));
  fill_use(result);
}

// Links of a tier and direction in the order of their ids, which is the order of ranks for ports.
void LinkFigures::fill_use(PointResult& result) const {
  const Fabric& fabric = cluster_.fabric;
  std::map<std::pair<LinkTier, Direction>, std::vector<std::size_t>> alike;
  for (std::size_t link = 0; link < ends_.size(); ++link) {
    const bool loaded = std::any_of(exchanges_.begin(), exchanges_.end(),
                                    [&](const OnLinks& sums) { return sums.bytes[link] > 0; });
    if (loaded)
      alike[{fabric.links[link].tier, direction_of(ends_[link], fabric.ranks)}].push_back(link);
  }
  for (auto& entry : alike) {
    std::vector<std::size_t>& links = entry.second;
    if (entry.first.second != Direction::between)
      std::stable_sort(links.begin(), links.end(), [&](std::size_t a, std::size_t b) {
        return port_rank(ends_[a], fabric.ranks) < port_rank(ends_[b], fabric.ranks);
      });
    const std::size_t rows = std::min(links.size(), kMostRows);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t first = row * links.size() / rows;
      const std::size_t last = (row + 1) * links.size() / rows;
      LinkUse use = use_of(std::span(links).subspan(first, last - first));
      const bool ports = entry.first.second != Direction::between;
      const auto number = [&](std::size_t at) {
        return ports ? port_rank(ends_[links[at]], fabric.ranks) : static_cast<int>(at);
      };
      use.name +=
          fmt::format("{} {}-{}", ports ? "ranks" : "links", number(first), number(last - 1));
      result.link_use.push_back(std::move(use));
    }
  }
}

// Of links alike: their kind as the beginning of a name, and the busiest one's use.
LinkUse LinkFigures::use_of(std::span<const std::size_t> links) const {
  const Fabric& fabric = cluster_.fabric;
  const Direction direction = direction_of(ends_[links.front()], fabric.ranks);
  const char* way = direction == Direction::out ? " out" : " in";
  LinkUse use;
  use.name = fmt::format("{}{}, ", to_text(fabric.links[links.front()].tier),
                         direction == Direction::between ? "" : way);
  for (const OnLinks& sums : exchanges_) {
    double most = 0;
    for (const std::size_t link : links) most = std::max(most, utilisation(sums, link));
    use.utilisation.push_back(std::round(most * 1e4) / 1e4);
  }
  return use;
}

std::string LinkFigures::csv() const {
  std::string table =
      "exchange,layer,kind,link,tier,rank,bytes (B),busy (s),finish (s),utilisation\r\n";
  for (std::size_t number = 0; number < exchanges_.size(); ++number) {
    const OnLinks& sums = exchanges_[number];
    for (std::size_t link = 0; link < ends_.size(); ++link) {
      if (sums.bytes[link] == 0) continue;
      const Link& one = cluster_.fabric.links[link];
      const int rank = port_rank(ends_[link], cluster_.fabric.ranks);
      table += fmt::format(
          "{},{},{},\"{}\",{},{},{},{},{},{}\r\n", number, sums.layer, to_text(sums.kind), one.name,
          to_text(one.tier), rank < 0 ? "" : std::to_string(rank), sums.bytes[link] / steps_,
          sums.busy[link] / steps_, sums.finish[link] / steps_, utilisation(sums, link));
    }
  }
  return table;
}

}  // namespace moesim
