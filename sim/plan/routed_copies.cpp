// Token copies by source and destination: one pass over the rows for a few layers at a time.
#include "sim/plan/routed_copies.h"

#include "sim/core/error.h"
#include "sim/plan/replica_choice.h"

namespace moesim {
namespace {

// One MoE layer while its copies are counted.
struct LayerCounter {
  ReplicaChooser chooser;
  const Placement& placement;
  RoutedCopies& copies;
  std::uint32_t* to_rank = nullptr;  // of the current source and EP group
  std::uint32_t* to_slot = nullptr;

  void start(std::size_t source, std::size_t ranks_per_group) {
    const std::size_t group = source / ranks_per_group;
    chooser.start(source, group * ranks_per_group);
    const auto ranks = static_cast<std::size_t>(copies.ranks);
    to_rank = &copies.copies[source * ranks + group * ranks_per_group];
    to_slot = &copies.per_physical_expert[group * placement.rank_of.size()];
  }
  void add(std::size_t expert) {
    const std::uint32_t slot = chooser.next(expert);
    ++to_slot[slot];
    ++to_rank[index(placement.rank_of[slot])];
  }
};

[[noreturn]] void refuse(const RoutingTrace& trace, std::size_t row, std::size_t layer, int id) {
  throw InputError("trace of " + trace.header.model + ": tensor experts, row " +
                   std::to_string(row) + ", layer " + std::to_string(layer) + " holds expert " +
                   std::to_string(id) + "; the header says " +
                   std::to_string(trace.header.experts) + " experts (0 to " +
                   std::to_string(trace.header.experts - 1) + ")");
}

std::vector<LayerCounter> make_counters(const RoutingInputs& inputs,
                                        std::size_t first_layer,
                                        std::span<RoutedCopies> copies) {
  const ShardingPlan& plan = inputs.plan;
  const auto ranks = static_cast<std::size_t>(plan.parallelism.ranks);
  std::vector<LayerCounter> counters;
  counters.reserve(copies.size());
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const Placement& placement = plan.placement.at(first_layer + i);
    RoutedCopies& layer = copies[i];
    layer.ranks = plan.parallelism.ranks;
    layer.copies.assign(ranks * ranks, 0);
    layer.per_physical_expert.assign(
        placement.rank_of.size() * static_cast<std::size_t>(plan.parallelism.ep_groups()), 0);
    counters.push_back(
        {ReplicaChooser(placement, static_cast<std::size_t>(inputs.trace.header.experts),
                        plan.replica_choice, inputs.ranks_per_node),
         placement, layer});
  }
  return counters;
}

void count_row(const RoutingTrace& trace,
               std::size_t row,
               std::size_t first_layer,
               std::span<LayerCounter> counters) {
  const auto top_k = static_cast<std::size_t>(trace.header.top_k);
  const auto experts = static_cast<std::uint16_t>(trace.header.experts);
  const std::uint16_t* choice = trace.choice(row, first_layer).data();
  for (LayerCounter& counter : counters) {
    for (std::size_t k = 0; k < top_k; ++k) {
      const std::uint16_t expert = *choice++;
      if (expert >= experts) {
        if (expert == kNotRouted) continue;
        refuse(trace, row, first_layer + static_cast<std::size_t>(&counter - counters.data()),
               expert);
      }
      counter.add(expert);
    }
  }
}

}  // namespace

void count_copies(const RoutingInputs& inputs,
                  std::size_t first_layer,
                  std::span<RoutedCopies> copies) {
  std::vector<LayerCounter> counters = make_counters(inputs, first_layer, copies);
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  const auto ranks_per_group = static_cast<std::size_t>(inputs.plan.parallelism.expert);
  for (std::size_t group = 0; group < inputs.batch.rows.size(); ++group) {
    const std::vector<std::uint32_t>& rows = inputs.batch.rows[group];
    for (std::size_t member = 0; member < tensor; ++member) {
      for (LayerCounter& counter : counters)
        counter.start(rank_of_token(group, member, tensor), ranks_per_group);
      for (std::size_t token = member; token < rows.size(); token += tensor)
        count_row(inputs.trace, rows[token], first_layer, counters);
    }
  }
}

std::int64_t count_routed_choices(const RoutingInputs& inputs,
                                  std::size_t first_layer,
                                  std::size_t layers) {
  const std::size_t choices = layers * static_cast<std::size_t>(inputs.trace.header.top_k);
  std::int64_t routed = 0;
  for (const std::vector<std::uint32_t>& rows : inputs.batch.rows)
    for (const std::uint32_t row : rows) {
      const std::uint16_t* choice = inputs.trace.choice(row, first_layer).data();
      std::uint32_t of_row = 0;
      for (std::size_t i = 0; i < choices; ++i) of_row += choice[i] != kNotRouted ? 1U : 0U;
      routed += of_row;
    }
  return routed;
}

}  // namespace moesim
