// Copies, tokens and destinations counted again, copy by copy, as the contracts word it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/sim/plan/step_fixture.h"

namespace moesim::test {

using Matrix = std::vector<std::vector<double>>;  // [source][destination] copies

// Calls visit(source, slots) for every token: a slot of its EP group for each of its copies, with a
// counter per (source, expert), as the contract words it.
template <class Visit>
void each_token_slots(const StepWorld& world, std::size_t layer, const Visit& visit) {
  const auto group_ranks = static_cast<std::size_t>(world.plan.parallelism.expert);
  const auto tensor = static_cast<std::size_t>(world.plan.parallelism.tensor);
  const Placement& placement = world.plan.placement[layer];
  std::map<std::pair<std::size_t, int>, std::size_t> dealt;
  for (std::size_t group = 0; group < world.batch.rows.size(); ++group)
    for (std::size_t token = 0; token < world.batch.rows[group].size(); ++token) {
      const std::size_t source = group * tensor + token % tensor;
      const std::size_t first = source / group_ranks * group_ranks;
      std::vector<std::size_t> chosen;
      for (const std::uint16_t expert : world.trace.choice(world.batch.rows[group][token], layer)) {
        if (expert == kNotRouted) continue;
        std::vector<std::size_t> all, node, own;
        for (std::size_t slot = 0; slot < placement.rank_of.size(); ++slot) {
          if (index(placement.replica_of[slot]) != expert) continue;
          const std::size_t rank = first + index(placement.rank_of[slot]);
          all.push_back(slot);
          if (rank / 8 == source / 8) node.push_back(slot);
          if (rank == source) own.push_back(slot);
        }
        const bool nearest = world.plan.replica_choice == ReplicaChoice::nearest;
        const auto& from = nearest && !own.empty() ? own : nearest && !node.empty() ? node : all;
        const std::size_t turn = dealt[{source, expert}]++;
        chosen.push_back(from[(source - first + turn) % from.size()]);
      }
      visit(source, chosen);
    }
}

// The same with the rank of each copy: visit(source, destinations).
template <class Visit>
void each_token(const StepWorld& world, std::size_t layer, const Visit& visit) {
  const auto group_ranks = static_cast<std::size_t>(world.plan.parallelism.expert);
  const Placement& placement = world.plan.placement[layer];
  each_token_slots(world, layer, [&](std::size_t source, const std::vector<std::size_t>& slots) {
    std::vector<std::size_t> destinations;
    for (const std::size_t slot : slots)
      destinations.push_back(source / group_ranks * group_ranks + index(placement.rank_of[slot]));
    visit(source, destinations);
  });
}

inline Matrix recount(const StepWorld& world, std::size_t layer) {
  const auto ranks = static_cast<std::size_t>(world.cluster.ranks());
  Matrix matrix(ranks, std::vector<double>(ranks));
  each_token(world, layer, [&](std::size_t source, const std::vector<std::size_t>& destinations) {
    for (const std::size_t rank : destinations) matrix[source][rank] += 1;
  });
  return matrix;
}

struct TokenRecount {
  Matrix by_rank, by_node;
};

inline TokenRecount recount_tokens(const StepWorld& world, std::size_t layer) {
  const auto ranks = static_cast<std::size_t>(world.cluster.ranks());
  TokenRecount counts{Matrix(ranks, std::vector<double>(ranks)),
                      Matrix(ranks, std::vector<double>(ranks))};
  each_token(world, layer, [&](std::size_t source, const std::vector<std::size_t>& destinations) {
    std::set<std::size_t> of_token(destinations.begin(), destinations.end()), nodes;
    for (const std::size_t rank : of_token) {
      counts.by_rank[source][rank] += 1;
      nodes.insert(rank / 8);
    }
    for (const std::size_t node : nodes) counts.by_node[source][node] += 1;
  });
  return counts;
}

inline std::vector<std::shared_ptr<RoutedCopies>> count_all(const StepWorld& world,
                                                            bool tokens_too = false) {
  std::vector<std::shared_ptr<RoutedCopies>> copies(world.plan.placement.size());
  RoutingInputs routing = world.routing();
  routing.tokens_too = tokens_too;
  const ExpertChoices choices(routing, 0, copies.size());
  for (std::size_t layer = 0; layer < copies.size(); ++layer) {
    copies[layer] = std::make_shared<RoutedCopies>();
    count_copies(routing, choices, layer, *copies[layer]);
  }
  return copies;
}

}  // namespace moesim::test
