// Counts the trace rows of a batch into token copies from rank to rank and per physical expert.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/plan/all_to_all.h"
#include "sim/plan/batch.h"

namespace moesim {

struct RoutingInputs {
  const RoutingTrace& trace;
  const Batch& batch;
  const ShardingPlan& plan;
  std::size_t ranks_per_node = 8;
  bool tokens_too = false;  // count rank_tokens and node_tokens as well
};

// The rank that holds token `token` of DP rank `group` while experts work on it: tokens are dealt
// one by one over the `tensor` ranks of the group.
inline std::size_t rank_of_token(std::size_t group, std::size_t token, std::size_t tensor) {
  return group * tensor + token % tensor;
}

// Layers to count in one call: several, because a row's layers lie together and fewer passes mean
// fewer cache lines fetched twice; as few as keep their counts within some 32 MB.
std::size_t layers_per_pass(const RoutingInputs& inputs);

// Fills *copies[i] for trace layers first_layer + i. kNotRouted is skipped; an expert id out of
// range throws InputError.
void count_copies(const RoutingInputs& inputs,
                  std::size_t first_layer,
                  std::span<const std::shared_ptr<RoutedCopies>> copies);

// Routed choices of the batch's rows in trace layers [first_layer, first_layer + layers), by layer,
// straight from the rows: the yardstick for the copies counted above.
std::vector<std::int64_t> count_routed_choices(const RoutingInputs& inputs,
                                               std::size_t first_layer,
                                               std::size_t layers);

}  // namespace moesim
