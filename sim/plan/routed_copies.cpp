// Token copies by source and destination: a source's choices are dealt over the replicas.
#include "sim/plan/routed_copies.h"

#include <algorithm>

#include "sim/plan/replica_choice.h"

namespace moesim {
namespace {

struct GroupExperts {
  ReplicaChooser chooser;
  const Placement& placement;
};

// One MoE layer while its copies are counted, source after source.
struct LayerCounter {
  std::vector<GroupExperts> groups;  // by EP group, or one for all
  RoutedCopies& copies;
  std::vector<std::uint32_t> by_expert;  // of the current source
  std::vector<std::uint32_t> to_rank;    // of the current source, by rank of the pool

  GroupExperts& of(std::size_t group) { return groups[groups.size() == 1 ? 0 : group]; }
  void deal(std::size_t source, std::size_t ranks_per_group) {
    const std::size_t group = source / ranks_per_group, first = group * ranks_per_group;
    auto& [chooser, placement] = of(group);
    const Rank* const rank_of = placement.rank_of.data();
    std::uint32_t* const to_slot = &copies.per_physical_expert[group * placement.rank_of.size()];
    std::uint32_t* const to = &to_rank[first];
    std::uint32_t most = copies.most_for_expert[group];
    chooser.start(source, first);
    for (std::size_t expert = 0; expert < by_expert.size(); ++expert) {
      if (by_expert[expert] == 0) continue;
      chooser.deal(expert, by_expert[expert], [&](std::uint32_t slot, std::uint32_t count) {
        to_slot[slot] += count;
        most = std::max(most, count);
        to[index(rank_of[slot])] += count;
      });
    }
    copies.most_for_expert[group] = most;
    copies.copies.add_source(to_rank);
  }
};

// Of ranks that exchange rows in one layer: at most so many.
std::size_t most_pairs(const RoutingInputs& inputs) {
  const auto ranks = static_cast<std::size_t>(inputs.plan.parallelism.ranks);
  const auto group = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  const auto top_k = static_cast<std::size_t>(inputs.trace.header.top_k);
  return std::min(inputs.batch.tokens() * top_k, ranks * group);
}

// EP groups that need a chooser of their own; else one serves all.
std::size_t choosers_of(const ShardingPlan& plan) {
  if (plan.replica_choice == ReplicaChoice::load_balanced)
    return static_cast<std::size_t>(plan.parallelism.ep_groups());
  return std::max<std::size_t>(plan.group_placement.size(), 1);
}

LayerCounter make_counter(const RoutingInputs& inputs, std::size_t layer, RoutedCopies& copies) {
  const ShardingPlan& plan = inputs.plan;
  const auto groups = static_cast<std::size_t>(plan.parallelism.ep_groups());
  const auto experts = static_cast<std::size_t>(inputs.trace.header.experts);
  copies.ranks = plan.parallelism.ranks;
  copies.copies.clear();
  copies.copies.reserve(most_pairs(inputs));
  copies.rank_tokens.clear();
  copies.node_tokens.clear();
  copies.tokens.clear();
  copies.per_physical_expert.assign(plan.placement_of(layer, 0).rank_of.size() * groups, 0);
  copies.most_for_expert.assign(groups, 0);
  LayerCounter counter{{},
                       copies,
                       std::vector<std::uint32_t>(experts),
                       std::vector<std::uint32_t>(static_cast<std::size_t>(copies.ranks))};
  for (std::size_t group = 0; group < choosers_of(plan); ++group) {
    const Placement& placement = plan.placement_of(layer, group);
    counter.groups.push_back(
        {ReplicaChooser(placement, experts, plan.replica_choice, inputs.ranks_per_node),
         placement});
  }
  return counter;
}

// Tells load-balanced choosers the copies of each expert in their EP group.
void balance_choosers(const ExpertChoices& choices,
                      std::size_t layer,
                      std::size_t ranks_per_group,
                      LayerCounter& counter) {
  std::vector<std::vector<std::uint32_t>> copies(
      counter.groups.size(), std::vector<std::uint32_t>(counter.by_expert.size(), 0));
  for (std::size_t source = 0; source < choices.sources(); ++source)
    choices.add(layer, source, copies[source / ranks_per_group]);
  for (std::size_t group = 0; group < copies.size(); ++group)
    counter.groups[group].chooser.balance(copies[group], ranks_per_group);
}

// Distinct tokens of one source by destination rank and node: a second look at the same rows, copy
// by copy, since which replica a copy takes decides where its token goes.
class TokenCounter {
 public:
  TokenCounter(LayerCounter& counter, std::size_t ranks, std::size_t ranks_per_node)
      : counter_(counter),
        ranks_per_node_(ranks_per_node),
        to_rank_(ranks),
        to_node_((ranks + ranks_per_node - 1) / ranks_per_node) {
    for (GroupExperts& experts : counter.groups) experts.chooser.restart();
  }

  void start(std::size_t source, std::size_t group, std::size_t first_rank) {
    first_rank_ = first_rank;
    experts_ = &counter_.of(group);
    experts_->chooser.start(source, first_rank);
  }
  void add(std::span<const std::uint16_t> choices) {
    ranks_.clear();
    nodes_.clear();
    for (const std::uint16_t expert : choices) {
      if (expert >= counter_.by_expert.size()) continue;
      const std::size_t rank =
          first_rank_ + index(experts_->placement.rank_of[experts_->chooser.next(expert)]);
      if (note(ranks_, rank)) ++to_rank_[rank];
      if (note(nodes_, rank / ranks_per_node_)) ++to_node_[rank / ranks_per_node_];
    }
  }
  void finish() {
    counter_.copies.rank_tokens.add_source(to_rank_);
    counter_.copies.node_tokens.add_source(to_node_);
  }

 private:
  // Whether it was not seen yet; a token's destinations are few.
  static bool note(std::vector<std::size_t>& seen, std::size_t one) {
    if (std::find(seen.begin(), seen.end(), one) != seen.end()) return false;
    seen.push_back(one);
    return true;
  }

  LayerCounter& counter_;
  GroupExperts* experts_ = nullptr;  // of the current source's EP group
  std::size_t ranks_per_node_, first_rank_ = 0;
  std::vector<std::uint32_t> to_rank_, to_node_;  // of the current source
  std::vector<std::size_t> ranks_, nodes_;        // of the current token
};

void count_tokens(const RoutingInputs& inputs, std::size_t layer, LayerCounter& of_layer) {
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  const auto ranks_per_group = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  const auto ranks = static_cast<std::size_t>(inputs.plan.parallelism.ranks);
  TokenCounter counter(of_layer, ranks, inputs.ranks_per_node);
  for (std::size_t source = 0; source < ranks; ++source) {
    const std::vector<std::uint32_t>& rows = inputs.batch.rows[source / tensor];
    const std::size_t ep_group = source / ranks_per_group;
    counter.start(source, ep_group, ep_group * ranks_per_group);
    for (std::size_t token = source % tensor; token < rows.size(); token += tensor)
      counter.add(inputs.trace.choice(rows[token], layer));
    counter.finish();
  }
}

}  // namespace

void count_copies(const RoutingInputs& inputs,
                  const ExpertChoices& choices,
                  std::size_t layer,
                  RoutedCopies& copies) {
  const std::size_t trace_layer = choices.first_layer() + layer;
  const auto ranks_per_group = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  LayerCounter counter = make_counter(inputs, trace_layer, copies);
  if (inputs.plan.replica_choice == ReplicaChoice::load_balanced)
    balance_choosers(choices, layer, ranks_per_group, counter);
  for (std::size_t source = 0; source < choices.sources(); ++source) {
    std::fill(counter.by_expert.begin(), counter.by_expert.end(), 0);
    choices.add(layer, source, counter.by_expert);
    counter.deal(source, ranks_per_group);
    copies.tokens.push_back(choices.tokens(source));
  }
  if (inputs.tokens_too) count_tokens(inputs, trace_layer, counter);
}

}  // namespace moesim
