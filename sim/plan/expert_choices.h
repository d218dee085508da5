// ExpertChoices: how often each rank's tokens choose each expert, in several MoE layers at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

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

// One pass over the rows of a batch: a row's layers lie together in the trace, so each is fetched
// once for many of them.
class ExpertChoices {
 public:
  // Of trace layers [first_layer, first_layer + layers). kNotRouted is skipped; an expert id out of
  // range throws InputError. The result does not depend on `threads`.
  ExpertChoices(const RoutingInputs& inputs,
                std::size_t first_layer,
                std::size_t layers,
                std::size_t threads = 1);

  // As many layers as keep the counts within some 16 MB, a multiple of `threads` where it can be.
  static std::size_t layers_at_once(const RoutingInputs& inputs, std::size_t threads);

  std::size_t first_layer() const { return first_layer_; }
  std::size_t layers() const { return layers_; }
  std::size_t sources() const { return tokens_.size(); }
  std::uint32_t tokens(std::size_t source) const { return tokens_[source]; }
  // Adds to by_expert, one place an expert. `layer` is counted from first_layer().
  void add(std::size_t layer, std::size_t source, std::span<std::uint32_t> by_expert) const;
  // Routed choices by layer, counted apart from the rest, straight from the rows: the yardstick.
  const std::vector<std::int64_t>& routed() const { return routed_; }

 private:
  template <class Count>
  void count_groups(const RoutingInputs& inputs, std::size_t threads, std::vector<Count>& counts);

  std::size_t first_layer_, layers_, bins_;  // a bin an expert, and one for all other ids
  std::vector<std::uint32_t> tokens_;        // by source: that it brings, routed or not
  // [source][layer][bin]: wide where a source has choices enough to overflow a narrow count.
  std::vector<std::uint16_t> narrow_;
  std::vector<std::uint32_t> wide_;
  std::vector<std::int64_t> routed_;
};

}  // namespace moesim
