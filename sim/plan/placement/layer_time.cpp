// Links and kernels as linear functions of the loads.
#include "sim/plan/placement/layer_time.h"

#include <algorithm>

#include "sim/cost/rank_costs.h"
#include "sim/plan/fabric_paths.h"

namespace moesim {
namespace {

bool is_below(const std::vector<double>& one, const std::vector<double>& other) {
  for (std::size_t rank = 0; rank < one.size(); ++rank)
    if (one[rank] > other[rank]) return false;
  return true;
}

double largest(std::span<const double> values) {
  double most = 0;
  for (const double value : values) most = std::max(most, value);
  return most;
}

using Rows = std::vector<std::vector<double>>;  // s a copy, [row][rank]

// Of a matrix by link those rows that are not below another at every rank: the others are never
// the busiest.
void keep_busiest(const Rows& by_link, Rows& kept) {
  const std::size_t first = kept.size();
  const auto begin = [&] { return kept.begin() + static_cast<std::ptrdiff_t>(first); };
  for (const std::vector<double>& row : by_link) {
    if (row.empty() ||
        std::any_of(begin(), kept.end(), [&](const auto& other) { return is_below(row, other); }))
      continue;
    kept.erase(std::remove_if(begin(), kept.end(),
                              [&](const auto& other) { return is_below(other, row); }),
               kept.end());
    kept.push_back(row);
  }
}

// Time of each link for a copy on each rank, from (or, back, to) `ranks` sources in equal parts.
Rows link_times(const FabricPaths& paths,
                std::size_t ranks,
                const PlacementCluster::Way& way,
                bool back) {
  Rows by_link(paths.bandwidth().size());
  const double bytes = way.row_bytes / static_cast<double>(ranks);
  for (std::size_t pair = 0; pair < ranks * ranks; ++pair) {
    const std::size_t source = pair / ranks, rank = pair % ranks;
    if (source == rank) continue;
    paths.follow(back ? rank : source, back ? source : rank, [&](LinkId link) {
      std::vector<double>& row = by_link[index(link)];
      row.resize(ranks, 0);
      const double efficiency = paths.scale_up(link) ? way.nvlink_efficiency : way.nic_efficiency;
      row[rank] += bytes / (paths.bandwidth()[index(link)] * efficiency);
      return true;
    });
  }
  return by_link;
}

}  // namespace

LayerTime::LayerTime(const PlacementInput& input)
    : ranks_(static_cast<std::size_t>(input.ranks)), experts_(ranks_) {
  if (input.cluster.fabric == nullptr) return;
  cost_links(input.cluster);
  cost_experts(input);
}

void LayerTime::cost_experts(const PlacementInput& input) {
  const PlacementCluster& cluster = input.cluster;
  experts_.assign(ranks_, {0, 0});
  if (cluster.costs == nullptr) return;
  const std::size_t local = static_cast<std::size_t>(input.slots) / ranks_;
  const double mean = cluster.step_copies / input.slots;
  const auto low = static_cast<std::uint32_t>(std::max(1.0, mean / 2));
  const auto high = std::max(low + 1, static_cast<std::uint32_t>(1.5 * mean));
  for (std::size_t rank = 0; rank < ranks_; ++rank) {
    const KernelCosts& costs = cluster.costs->of_kind(cluster.costs->kind_of(id_of<Rank>(rank)));
    const auto seconds = [&](std::uint32_t copies) {
      const std::vector<std::uint32_t> by_expert(local, copies);
      return costs.expert_ffn(by_expert).time.count() * cluster.costs->slow_of(id_of<Rank>(rank));
    };
    Experts& experts = experts_[rank];
    experts.per_copy = (seconds(high) - seconds(low)) / static_cast<double>((high - low) * local);
    experts.fixed = seconds(low) - experts.per_copy * static_cast<double>(low * local);
  }
}

void LayerTime::cost_links(const PlacementCluster& cluster) {
  const FabricPaths paths(*cluster.fabric);
  Rows kept;
  keep_busiest(link_times(paths, ranks_, cluster.dispatch, false), kept);
  combine_ = kept.size();
  keep_busiest(link_times(paths, ranks_, cluster.combine, true), kept);
  rows_ = kept.size();
  for (std::size_t rank = 0; rank < ranks_; ++rank)
    for (const auto& row : kept) per_copy_.push_back(row[rank]);
}

LayerTime::State::State(const LayerTime& time, std::span<const double> load)
    : time_(&time), load_(time.ranks_, 0), busy_(time.rows_, 0) {
  for (std::size_t rank = 0; rank < load.size(); ++rank) add(rank, load[rank]);
}

void LayerTime::State::add(std::size_t rank, double load) {
  load_[rank] += load;
  const double* per_copy = time_->per_copy_.data() + rank * time_->rows_;
  for (std::size_t row = 0; row < busy_.size(); ++row) busy_[row] += load * per_copy[row];
}

double LayerTime::State::seconds() const {
  double experts = 0;
  for (std::size_t rank = 0; rank < load_.size(); ++rank) {
    const Experts& own = time_->experts_[rank];
    experts = std::max(experts, own.fixed + own.per_copy * load_[rank]);
  }
  const std::span<const double> busy(busy_);
  return largest(busy.first(time_->combine_)) + experts + largest(busy.subspan(time_->combine_));
}

}  // namespace moesim
