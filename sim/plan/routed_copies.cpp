// Token copies by source and destination: one pass over the rows for a few layers at a time.
#include "sim/plan/routed_copies.h"

#include <algorithm>

#include "sim/core/error.h"
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
  std::vector<std::uint32_t> by_expert;  // of the current source; the last counts all other ids
  std::vector<std::uint32_t> to_rank;    // of the current source, by rank of the pool

  GroupExperts& of(std::size_t group) { return groups[groups.size() == 1 ? 0 : group]; }
  void add(std::uint16_t expert) {
    ++by_expert[std::min<std::size_t>(expert, by_expert.size() - 1)];
  }
  void deal(std::size_t source, std::size_t ranks_per_group) {
    const std::size_t group = source / ranks_per_group, first = group * ranks_per_group;
    auto& [chooser, placement] = of(group);
    std::uint32_t* to_slot = &copies.per_physical_expert[group * placement.rank_of.size()];
    std::uint32_t& most = copies.most_for_expert[group];
    chooser.start(source, first);
    for (std::size_t expert = 0; expert + 1 < by_expert.size(); ++expert) {
      if (by_expert[expert] == 0) continue;
      chooser.deal(expert, by_expert[expert],
                   [&, &rank_of = placement.rank_of](std::uint32_t slot, std::uint32_t count) {
                     to_slot[slot] += count;
                     most = std::max(most, count);
                     to_rank[first + index(rank_of[slot])] += count;
                   });
    }
    std::fill(by_expert.begin(), by_expert.end(), 0);
    copies.copies.add_source(to_rank);
  }
};

[[noreturn]] void refuse(const RoutingTrace& trace, std::size_t row, std::size_t layer, int id) {
  throw InputError("trace of " + trace.header.model + ": tensor experts, row " +
                   std::to_string(row) + ", layer " + std::to_string(layer) + " holds expert " +
                   std::to_string(id) + "; the header says " +
                   std::to_string(trace.header.experts) + " experts (0 to " +
                   std::to_string(trace.header.experts - 1) + ")");
}

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

std::vector<LayerCounter> make_counters(const RoutingInputs& inputs,
                                        std::size_t first_layer,
                                        std::span<const std::shared_ptr<RoutedCopies>> copies) {
  const ShardingPlan& plan = inputs.plan;
  const auto ranks = static_cast<std::size_t>(plan.parallelism.ranks);
  std::vector<LayerCounter> counters;
  counters.reserve(copies.size());
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const std::size_t slots = plan.placement_of(first_layer + i, 0).rank_of.size();
    RoutedCopies& layer = *copies[i];
    layer.ranks = plan.parallelism.ranks;
    layer.copies.clear();
    layer.copies.reserve(most_pairs(inputs));
    layer.rank_tokens.clear();
    layer.node_tokens.clear();
    layer.tokens.clear();
    layer.per_physical_expert.assign(slots * static_cast<std::size_t>(plan.parallelism.ep_groups()),
                                     0);
    layer.most_for_expert.assign(static_cast<std::size_t>(plan.parallelism.ep_groups()), 0);
    std::vector<GroupExperts> groups;
    for (std::size_t group = 0; group < choosers_of(plan); ++group) {
      const Placement& placement = plan.placement_of(first_layer + i, group);
      groups.push_back(
          {ReplicaChooser(placement, static_cast<std::size_t>(inputs.trace.header.experts),
                          plan.replica_choice, inputs.ranks_per_node),
           placement});
    }
    counters.push_back(
        {std::move(groups), layer,
         std::vector<std::uint32_t>(static_cast<std::size_t>(inputs.trace.header.experts) + 1),
         std::vector<std::uint32_t>(ranks)});
  }
  return counters;
}

// A row is some hundred bytes from the last one, in an order the hardware cannot guess; the rows
// themselves are known well before they are counted, also those of the DP ranks to come.
constexpr std::size_t kRowsAhead = 24;

void prefetch(const RoutingInputs& inputs,
              std::size_t group,
              std::size_t token,
              std::size_t first_layer,
              std::size_t layers) {
  constexpr std::size_t kCacheLine = 64 / sizeof(std::uint16_t);
  const auto& groups = inputs.batch.rows;
  while (group < groups.size() && token >= groups[group].size()) token -= groups[group++].size();
  if (group == groups.size()) return;
  const std::uint16_t* choice = inputs.trace.choice(groups[group][token], first_layer).data();
  const std::size_t choices = layers * static_cast<std::size_t>(inputs.trace.header.top_k);
  for (std::size_t i = 0; i < choices; i += kCacheLine) __builtin_prefetch(choice + i);
}

// Tells load-balanced choosers the copies of each expert in their EP group.
void balance_choosers(const RoutingInputs& inputs, std::size_t layer, LayerCounter& counter) {
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  const auto ranks = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  const auto experts = static_cast<std::size_t>(inputs.trace.header.experts);
  std::vector<std::vector<std::uint32_t>> copies(counter.groups.size(),
                                                 std::vector<std::uint32_t>(experts, 0));
  for (std::size_t group = 0; group < inputs.batch.rows.size(); ++group) {
    const std::vector<std::uint32_t>& rows = inputs.batch.rows[group];
    for (std::size_t token = 0; token < rows.size(); ++token) {
      auto& of_group = copies[rank_of_token(group, token, tensor) / ranks];
      for (const std::uint16_t expert : inputs.trace.choice(rows[token], layer))
        if (expert < experts) ++of_group[expert];
    }
  }
  for (std::size_t group = 0; group < copies.size(); ++group)
    counter.groups[group].chooser.balance(copies[group], ranks);
}

// Throws for the first id of the rows that is no expert; returns when all others were kNotRouted.
// NOLINTNEXTLINE(readability-function-cognitive-complexity): four plain loops and one test
void check_ids(const RoutingInputs& inputs, std::size_t first_layer, std::size_t layers) {
  for (const std::vector<std::uint32_t>& rows : inputs.batch.rows)
    for (const std::uint32_t row : rows)
      for (std::size_t layer = first_layer; layer < first_layer + layers; ++layer)
        for (const std::uint16_t expert : inputs.trace.choice(row, layer))
          if (expert >= inputs.trace.header.experts && expert != kNotRouted)
            refuse(inputs.trace, row, layer, expert);
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
      if (expert + 1U >= counter_.by_expert.size()) continue;
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

void count_tokens(const RoutingInputs& inputs,
                  std::size_t first_layer,
                  std::vector<LayerCounter>& counters) {
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  const auto ranks_per_group = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  const auto ranks = static_cast<std::size_t>(inputs.plan.parallelism.ranks);
  for (std::size_t layer = 0; layer < counters.size(); ++layer) {
    TokenCounter counter(counters[layer], ranks, inputs.ranks_per_node);
    for (std::size_t source = 0; source < ranks; ++source) {
      const std::vector<std::uint32_t>& rows = inputs.batch.rows[source / tensor];
      const std::size_t ep_group = source / ranks_per_group;
      counter.start(source, ep_group, ep_group * ranks_per_group);
      for (std::size_t token = source % tensor; token < rows.size(); token += tensor)
        counter.add(inputs.trace.choice(rows[token], first_layer + layer));
      counter.finish();
    }
  }
}

}  // namespace

std::size_t layers_per_pass(const RoutingInputs& inputs) {
  constexpr std::size_t kMostLayers = 8, kMostBytes = 32U << 20U;
  const std::size_t bytes =
      most_pairs(inputs) * sizeof(RowCounts::Entry) * (inputs.tokens_too ? 2 : 1);
  return std::clamp<std::size_t>(kMostBytes / std::max<std::size_t>(bytes, 1), 1, kMostLayers);
}

// NOLINTNEXTLINE(readability-function-cognitive-complexity): the hot loops, kept in one place
void count_copies(const RoutingInputs& inputs,
                  std::size_t first_layer,
                  std::span<const std::shared_ptr<RoutedCopies>> copies) {
  std::vector<LayerCounter> counters = make_counters(inputs, first_layer, copies);
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  const auto ranks_per_group = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  const auto top_k = static_cast<std::size_t>(inputs.trace.header.top_k);
  if (inputs.plan.replica_choice == ReplicaChoice::load_balanced)
    for (std::size_t i = 0; i < counters.size(); ++i)
      balance_choosers(inputs, first_layer + i, counters[i]);
  bool odd_ids = false;
  for (std::size_t group = 0; group < inputs.batch.rows.size(); ++group) {
    const std::vector<std::uint32_t>& rows = inputs.batch.rows[group];
    for (std::size_t member = 0; member < tensor; ++member) {
      for (std::size_t token = member; token < rows.size(); token += tensor) {
        const std::uint16_t* choice = inputs.trace.choice(rows[token], first_layer).data();
        prefetch(inputs, group, token + kRowsAhead * tensor, first_layer, copies.size());
        for (LayerCounter& counter : counters)
          for (std::size_t k = 0; k < top_k; ++k) counter.add(*choice++);
      }
      for (LayerCounter& counter : counters) {
        odd_ids = odd_ids || counter.by_expert.back() > 0;
        counter.deal(rank_of_token(group, member, tensor), ranks_per_group);
        counter.copies.tokens.push_back(
            static_cast<std::uint32_t>((rows.size() + tensor - 1 - member) / tensor));
      }
    }
  }
  if (odd_ids) check_ids(inputs, first_layer, copies.size());
  if (inputs.tokens_too) count_tokens(inputs, first_layer, counters);
}

std::vector<std::int64_t> count_routed_choices(const RoutingInputs& inputs,
                                               std::size_t first_layer,
                                               std::size_t layers) {
  const auto top_k = static_cast<std::size_t>(inputs.trace.header.top_k);
  std::vector<std::uint32_t> by_choice(layers * top_k);  // by layer and place in the top k
  for (std::size_t group = 0; group < inputs.batch.rows.size(); ++group) {
    const std::vector<std::uint32_t>& rows = inputs.batch.rows[group];
    for (std::size_t token = 0; token < rows.size(); ++token) {
      const std::uint16_t* choice = inputs.trace.choice(rows[token], first_layer).data();
      prefetch(inputs, group, token + kRowsAhead, first_layer, layers);
      for (std::size_t i = 0; i < by_choice.size(); ++i)
        by_choice[i] += choice[i] != kNotRouted ? 1U : 0U;
    }
  }
  std::vector<std::int64_t> routed(layers);
  for (std::size_t i = 0; i < by_choice.size(); ++i) routed[i / top_k] += by_choice[i];
  return routed;
}

}  // namespace moesim
