// StepGraph: one forward step of the whole pool as tasks that every rank runs in order; build_step
// counts tokens into kernel work and bytes per link. No SimGrid here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/cost/rank_costs.h"
#include "sim/plan/all_to_all.h"
#include "sim/plan/batch.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {

class FabricPaths;
struct Migration;

enum class TaskKind {
  embedding,
  attention,
  tensor_reduce,
  tensor_gather,
  router,
  dispatch,
  shared_expert,
  expert_ffn,
  combine,
  dense_ffn,
  head,
  stage_send,      // a pipeline's stages hand their micro-batches on
  context_gather,  // context parallelism, before attention and
  context_reduce,  // after it
  expert_fetch,    // weights that wait in host memory are copied to the GPU
  host             // what the host does before the step's first kernel
};
inline constexpr std::size_t kTaskKinds = static_cast<std::size_t>(TaskKind::host) + 1;
std::string to_text(TaskKind kind);
bool is_exchange(TaskKind kind);

struct Flow {
  Rank source{}, destination{};
  Bytes bytes;
};

struct LinkShare {  // what one group of ranks puts on a link
  int group = 0;
  LinkId link{};
  Bytes bytes;
};

// One collective of every group of ranks. Bytes that stay on a rank are in `kept`, never on a link;
// none go from group to group.
struct Exchange {
  std::string algorithm;
  int group_ranks = 0;  // ranks of a group, consecutive; divides the pool's; 0 = all in one group
  // That take part, whole groups; empty = all ranks. The others neither wait nor pay for anything.
  RankRange among = {};
  std::vector<Bytes> sent, received, kept;  // by rank
  std::vector<Bytes> link_bytes;            // by LinkId
  double bytes_per_copy = 0;  // row of a token copy; 0 = rows do not follow copies one by one
  // By rank: busiest link on any path into it, bytes / (bandwidth x efficiency).
  std::vector<Seconds> transfer;
  std::vector<LinkId> busiest;   // by rank: that link; -1 when nothing arrives
  std::vector<Seconds> latency;  // by rank: largest path latency into it
  // By rank: time to issue its own messages or for its SMs to move its rows, the longer one; and
  // to prepare and copy its own tokens first.
  std::vector<Seconds> message_time, copy_time;
  Seconds fixed{};  // t0 of the algorithm
  // Share of their speed that it takes from a rank's kernels from its start to its end, and how
  // many times as long it takes there while they run beside it.
  double speed_taken = 0, slowdown = 1;
  // Reached share of line rate, on links of tier nvlink and on all others.
  double nvlink_efficiency = 1, nic_efficiency = 1;
  Basis basis = Basis::datasheet;
  Seconds port_bound{};  // largest of any rank's bytes over its ports' bandwidth: no replay may be
                         // faster
  Seconds bisection_bound{};  // bytes crossing the halves over bisection bandwidth
  std::vector<Flow> flows;    // kept only when asked for (fidelities `paths` and `flows`)
  // Kept only when asked for (fidelity `links`): loaded links by group, and who sends to whom:
  // bit s % 64 of senders[d * words + s / 64], words = (ranks + 63) / 64.
  std::vector<LinkShare> shares;
  std::vector<std::uint64_t> senders;
};

// A compute task (a kernel) has by_rank, an exchange task an index into StepGraph::exchanges. A
// rank runs kernels and exchanges on two streams, each in the order of the tasks; a task also waits
// for those in `after`. An exchange stands right behind the last kernel it waits for.
struct Task {
  TaskKind kind{};
  int layer = -1;                // transformer layer; -1 outside the layers
  std::vector<Seconds> by_rank;  // compute only; with a GPU's SMs to itself
  std::vector<Seconds> noise;    // by rank: the part of by_rank that is noise; empty = none
  int launches = 1;              // kernels that the host launches for it
  int exchange = -1;             // exchange only
  Basis basis = Basis::datasheet;
  int micro_batch = 0;
  std::vector<std::uint32_t> after;  // tasks before it; empty = the one just before
};

struct MoeLayerLoad {  // of one MoE layer, for the report
  int layer = 0, trace_layer = 0;
  std::vector<std::uint32_t> by_expert;  // token copies by logical expert
  std::vector<std::uint32_t> by_rank;    // token copies computed by each rank
  // Distinct ranks and nodes that a token goes to, summed over tokens; 0 unless asked for.
  std::uint64_t ranks_reached = 0, nodes_reached = 0;
  std::size_t moe_layer = 0;  // among the model's MoE layers
  int micro_batch = 0;
  RankRange held_by = {};                             // ranks that hold the layer; empty = all
  std::span<const std::uint32_t> of_holders() const;  // by_rank of those
  std::int64_t tokens = 0;                            // new ones that the layer routes
  Bytes fetched;  // of experts, from host memory, by all ranks together
};

struct StepGraph {
  int ranks = 0;
  std::vector<Task> tasks;  // a task waits for earlier ones only
  std::vector<Exchange> exchanges;
  std::vector<MoeLayerLoad> loads;  // by micro-batch, then MoE layer
  std::int64_t tokens = 0;          // new tokens of the step
  Seconds launch{};                 // of the host, for each kernel; 0: graphs were captured
  int stage_ranks = 0;              // of a pipeline's stage; 0 = no pipeline
  std::int64_t routed_copies =
      0;  // token copies that the trace rows imply, counted apart from the exchanges

  // Ranks of a group of an exchange task: rank r is in group r / group_ranks.
  int group_ranks(std::size_t task) const;
  RankRange among(std::size_t task) const;  // ranks that take part in an exchange task
  bool overlaps() const;  // whether kernels and exchanges of a rank may run at the same time
};

struct StepInputs {
  const MoeModel& model;
  const Cluster& cluster;
  const ShardingPlan& plan;
  const RoutingTrace& trace;
  const RankCosts& costs;
  bool keep_flows = false;
  int threads = 2;
  const FabricPaths* paths = nullptr;  // of cluster.fabric, for many steps; null = made here
  bool keep_shares = false;            // for fidelity `links`
  // With keep_flows: of the trace's MoE layers every n-th keeps them, from the first.
  std::size_t flows_every = 1;
  bool count_reach = false;              // MoeLayerLoad::ranks_reached and nodes_reached
  const Migration* migration = nullptr;  // shares the links with dispatch; null = nothing moves
  Bytes expert_bytes = {};               // of a slot's weights, where some wait in host memory
};

// Model MoE layer i replays trace layer i % trace.moe_layers(). Under tensor parallelism t a DP
// rank's tokens are dealt over its t ranks one by one: embedding, attention and head see all of
// them, every other kernel the rank's own share, with a reduce-scatter after attention and an
// all-gather after each layer. The head computes one token of a prefill entry (its last) and all of
// a decode entry. An EP group of one rank has no dispatch and no combine. The result does not
// depend on `threads`. InputError: a trace whose experts or top_k are not the model's, an expert id
// out of range, more ranks than the cluster has, an unknown algorithm.
StepGraph build_step(const StepInputs& inputs, const Batch& batch);

}  // namespace moesim
