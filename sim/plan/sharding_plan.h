// ShardingPlan: how the model is spread over the ranks of a pool, and which algorithms move its
// tokens.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/ids.h"
#include "sim/model/moe_model.h"

namespace moesim {

struct RankRange {  // ranks first .. last - 1
  int first = 0, last = 0;
  int ranks() const { return last - first; }
  bool has(int rank) const { return rank >= first && rank < last; }
};

struct Parallelism {
  int ranks = 1;          // of the pool
  int expert = 1;         // EP: ranks that share one copy of all experts; ranks / expert EP groups
  int tensor = 1;         // TP of attention: consecutive ranks that share one DP rank's tokens
  int pipeline = 1;       // PP: stages that split the layers; consecutive ranks make a stage
  int expert_tensor = 1;  // consecutive ranks that split each expert's width
  // That split shared experts and dense feed-forward parts: the memory ledger's alone.
  int feed_forward_tensor = 1;
  int context = 1;  // CP: consecutive ranks of a TP group that share out each request's KV cache
  int data() const {
    return ranks / (tensor * pipeline);
  }  // DP attention: ranks (TP groups) with tokens of their own, of each stage
  int ep_groups() const { return ranks / expert; }
  int stage_ranks() const { return ranks / pipeline; }
};

// Of a dispatch or combine row. fp8 has one f32 scale per 128 values, mxfp8 one byte per 32; of 4
// bits a value, nvfp4 has one byte per 16 values and mxfp4 one per 32.
enum class PayloadFormat { bf16, fp8, mxfp8, nvfp4, mxfp4 };
const std::vector<std::string>& payload_names();       // in the order above
PayloadFormat payload_named(const std::string& name);  // one of payload_names()

struct Precision {
  WeightFormat experts =
      WeightFormat::bf16;  // storage; fp8 and mxfp4 compute in fp8 where the accelerator has it
  WeightFormat dense = WeightFormat::bf16;
  PayloadFormat dispatch = PayloadFormat::bf16;
  PayloadFormat combine = PayloadFormat::bf16;
  WeightFormat kv_cache = WeightFormat::bf16;  // bf16 or fp8
  std::optional<WeightFormat> attention = {};  // storage, where it is not the dense parts'
};

// Whose rule divides a GPU's memory. F is the fraction, "shown" what the GPU shows to programs:
//   none          no engine: the ledger holds what the batches need against the capacity
//   vllm          weights, activations, communicators and KV pool share F of what is shown
//   sglang        weights and KV pool share F of what is free before they are loaded; activations,
//                 exchange buffers and graphs have the rest
//   tensorrt_llm  the KV pool has F of what weights, activations and all else leave free
enum class ServingEngine { none, vllm, sglang, tensorrt_llm };
const std::vector<std::string>& engine_names();       // in the order above
ServingEngine engine_named(const std::string& name);  // one of engine_names()

struct EngineMemory {
  ServingEngine engine = ServingEngine::none;
  double fraction = 0.9;     // F
  int page_tokens = 1;       // tokens of KV cache that are allocated together
  double fragmentation = 0;  // share of the KV pool (none: of the capacity) kept free
  bool mtp = false;          // the multi-token prediction module is loaded
  // What an engine tries at start to see how large activations grow: a step of so many new tokens,
  // and so many requests whose next tokens are drawn at once.
  int prefill_chunk = 8192;
  int max_requests = 256;
};

// How copies are dealt over replicas: ReplicaChooser says it for each.
enum class ReplicaChoice { even, nearest, round_robin, load_balanced };

// A slot that holds no expert, beside those that a lost rank's experts were moved to.
inline constexpr LogicalExpert kNoExpert{-1};

// One MoE layer of one EP group: physical expert p (slot) holds logical expert replica_of[p] on
// rank rank_of[p], rank_of ascending, ranks numbered within the EP group, slots / ranks slots each.
// Some slots may be kNoExpert.
struct Placement {
  std::vector<LogicalExpert> replica_of;
  std::vector<Rank> rank_of;
  std::vector<char> in_host = {};  // by slot: its weights wait in host memory; empty = none's do
};

// What follows attention under tensor parallelism: every rank gets the sums of its own share of
// the tokens, or of all.
enum class TensorReduction { scatter, allreduce };

struct ShardingPlan {
  Parallelism parallelism;
  TensorReduction tensor_reduction = TensorReduction::scatter;
  int redundant_experts = 0;  // slots beyond the logical experts, per MoE layer and EP group
  // Slots of a rank and MoE layer whose weights stay on the GPU; 0 = all.
  int resident_experts = 0;
  std::string placement_strategy = "contiguous";
  std::vector<Placement> placement;  // by trace MoE layer, of every EP group
  // By EP group, then trace MoE layer, where a lost rank has made them differ; all placements of a
  // layer have as many slots. Empty = `placement` everywhere.
  std::vector<std::vector<Placement>> group_placement = {};
  std::vector<Rank> lost = {};  // ranks that hold no experts and take no requests any more
  ReplicaChoice replica_choice = ReplicaChoice::even;
  std::string dispatch = "deepep_low_latency", combine = "deepep_low_latency";
  std::string overlap = "none";
  int max_tokens_per_rank =
      0;  // buffers are allocated for this many; 0 = the batch's largest, rounded up to 128
  double capacity_factor = 0;  // of ExchangeShape
  int exchange_sms = 0;        // held by dispatch and combine kernels; 0 = the algorithm's default
  Precision precision;
  EngineMemory memory = {};

  const Placement& placement_of(std::size_t layer, std::size_t group) const {
    return group_placement.empty() ? placement.at(layer) : group_placement.at(group).at(layer);
  }
  bool is_lost(Rank rank) const { return std::find(lost.begin(), lost.end(), rank) != lost.end(); }
};

// Model MoE layers that replay trace MoE layer `layer`: layer j replays j modulo the placement's
// size.
std::int64_t layers_replaying(const MoeModel& model, const ShardingPlan& plan, std::size_t layer);

// Throws InputError (key in the message) unless: pipeline divides ranks and is at most the model's
// layers.
void check_pipeline(const Parallelism& parallelism, const MoeModel& model);

// Ranks that share out a layer's cache: parallelism.context, or 1 where the layer keeps no cache
// that grows with the context.
int context_ranks(const AttentionShape& shape, const Parallelism& parallelism);

// Throws InputError (key in the message) unless context is 1, or divides tensor and the ranks that
// hold the same keys and values in every layer: all of a TP group for latent attention, tensor /
// kv_heads for grouped queries. Layers with windows, index heads, compressed or cross attention are
// refused.
void check_context(const Parallelism& parallelism, const MoeModel& model);
// The same in words, which begin with the size; "" = it can be.
std::string context_refusal(const Parallelism& parallelism, const MoeModel& model);

// Throws InputError (key in the message) unless check_pipeline and check_context let it pass and:
// tensor divides the ranks of a stage; expert divides them; slots = experts + redundant divide by
// expert (names the nearest EP sizes that do); redundant <= experts * (expert - 1); resident is at
// most slots / expert.
void check_plan(const ShardingPlan& plan, const MoeModel& model);

}  // namespace moesim
