// The exchanges of a micro-batch, and the rows its experts get.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/plan/draw_routing.h"
#include "sim/plan/fabric_paths.h"
#include "sim/plan/link_loads.h"
#include "sim/plan/weakest_timing.h"
#include "sim/train/group_cluster.h"
#include "sim/train/layer_time.h"

namespace moesim {
namespace {

RoutingDraw draw_of(const MoeModel& model, const Cluster& cluster, const TrainingPlan& plan) {
  RoutingDraw draw;
  draw.ranks = plan.expert;
  draw.ranks_per_node = cluster.fabric.ranks_per_node;
  draw.tokens_per_rank = static_cast<int>(plan.rank_tokens());
  draw.experts = static_cast<int>(model.experts);
  draw.top_k = static_cast<int>(model.top_k);
  draw.balanced = plan.balanced;
  draw.skew_exponent = plan.skew_exponent;
  draw.weights = plan.expert_load;
  return draw;
}

ExchangeShape shape_of(const MoeModel& model,
                       const Cluster& cluster,
                       const TrainingPlan& plan,
                       const AllToAllPart& part) {
  ExchangeShape shape = micro_batch_shape(model, plan, cluster.fabric.ranks_per_node);
  shape.max_tokens_per_rank = static_cast<int>((plan.rank_tokens() + 127) / 128 * 128);
  shape.sms = part.default_sms;
  return shape;
}

// The exchanges of one micro-batch of an EP group.
struct GroupExchange {
  const Cluster& cluster;
  const TrainingPlan& plan;
  const AllToAllPart& part;
  ExchangeShape shape;
  std::shared_ptr<const RoutedCopies> routed;
};

// The last rank's end of all stages of one direction.
struct DirectionTime {
  Seconds alone{};
  double slowdown = 1;
};

DirectionTime time_of(const GroupExchange& group, bool dispatch, Basis& basis) {
  const int ranks = group.plan.expert;
  const FabricPaths paths(group.cluster.fabric);
  ExchangeInputs inputs;
  inputs.algorithm = group.plan.all_to_all;
  inputs.timing = weakest_timing({group.plan.all_to_all, dispatch ? "dispatch" : "combine",
                                  ranks <= group.cluster.fabric.ranks_per_node},
                                 group.cluster, ranks);
  inputs.experts = group.shape.physical_experts;
  inputs.memory_bandwidth = group.cluster.accelerator.memory_bandwidth;
  inputs.peers = ranks - 1;
  basis = weaker(basis, inputs.timing.basis);
  const auto& traffic = dispatch ? group.part.dispatch : group.part.combine;
  DirectionTime time{Seconds(0), inputs.timing.slowdown};
  for (const Exchange& stage :
       make_stages(paths, ranks, inputs, traffic(group.shape, group.routed)))
    time.alone += exchange_time(stage);
  return time;
}

// Copies of the rank with most, expert by expert.
std::vector<std::uint32_t> heaviest(const RoutedCopies& routed) {
  const std::size_t local =
      routed.per_physical_expert.size() / static_cast<std::size_t>(routed.ranks);
  auto best = routed.per_physical_expert.begin();
  std::uint64_t most = 0;
  for (auto first = routed.per_physical_expert.begin(); first != routed.per_physical_expert.end();
       first += static_cast<std::ptrdiff_t>(local)) {
    const std::uint64_t sum =
        std::accumulate(first, first + static_cast<std::ptrdiff_t>(local), std::uint64_t{0});
    if (sum > most) best = first;
    most = std::max(most, sum);
  }
  return {best, best + static_cast<std::ptrdiff_t>(local)};
}

// With a capacity every expert computes as many rows as it has places for, filled or not.
void drop_tokens(const MoeModel& model,
                 const TrainingPlan& plan,
                 const RoutedCopies& routed,
                 TrainingRouting& routing) {
  if (plan.capacity_factor == 0) return;
  const double even = static_cast<double>(plan.rank_tokens()) * plan.expert *
                      static_cast<double>(model.top_k) / static_cast<double>(model.experts);
  const auto places = static_cast<std::uint32_t>(std::ceil(plan.capacity_factor * even));
  double all = 0, kept = 0;
  for (const std::uint32_t copies : routed.per_physical_expert) {
    all += copies;
    kept += std::min(copies, places);
  }
  routing.dropped = 1 - kept / all;
  for (std::uint32_t& rows : routing.rows) rows = places;
}

}  // namespace

ExchangeShape micro_batch_shape(const MoeModel& model,
                                const TrainingPlan& plan,
                                int ranks_per_node) {
  ExchangeShape shape;
  shape.hidden = model.expert_hidden();
  shape.ranks = plan.expert;
  shape.ranks_per_node = ranks_per_node;
  shape.physical_experts = static_cast<int>(model.experts);
  shape.top_k = static_cast<int>(model.top_k);
  shape.max_tokens_per_rank = static_cast<int>(plan.rank_tokens());
  return shape;
}

TrainingRouting route_micro_batch(const MoeModel& model,
                                  const ClusterSpec& cluster_spec,
                                  const TrainingPlan& plan) {
  const Cluster cluster = group_cluster(cluster_spec, plan.expert);
  const auto routed = draw_routing(draw_of(model, cluster, plan));
  TrainingRouting routing;
  routing.rows = heaviest(*routed);
  drop_tokens(model, plan, *routed, routing);
  if (plan.expert == 1) return routing;
  const AllToAllPart& part = Catalog<AllToAllPart>::instance().at(plan.all_to_all, "all-to-all");
  const GroupExchange group{cluster, plan, part, shape_of(model, cluster, plan, part), routed};
  check_shape(part, group.shape);
  routing.sms = part.default_sms;
  const DirectionTime dispatch = time_of(group, true, routing.basis);
  const DirectionTime combine = time_of(group, false, routing.basis);
  routing.dispatch = dispatch.alone;
  routing.combine = combine.alone;
  routing.slowdown = (dispatch.slowdown * dispatch.alone + combine.slowdown * combine.alone) /
                     (dispatch.alone + combine.alone);
  // Dropped copies are not sent; what is left takes its share of the rows' time.
  const double kept = 1 - routing.dropped;
  routing.dispatch *= kept;
  routing.combine *= kept;
  return routing;
}

}  // namespace moesim
