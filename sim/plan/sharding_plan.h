// ShardingPlan: how the model is spread over the ranks of a pool, and which algorithms move its
// tokens.
#pragma once

#include <string>
#include <vector>

#include "sim/core/ids.h"
#include "sim/model/moe_model.h"

namespace moesim {

struct Parallelism {
  int ranks = 1;   // of the pool
  int expert = 1;  // EP: ranks that share one copy of all experts; ranks / expert EP groups
  int tensor = 1;  // TP of attention: consecutive ranks that share one DP rank's tokens
  int data() const {
    return ranks / tensor;
  }  // DP attention: ranks (TP groups) with tokens of their own
  int ep_groups() const { return ranks / expert; }
};

// Of a dispatch or combine row. fp8 has one f32 scale per 128 values, nvfp4 (4 bits a value) one
// byte per 16.
enum class PayloadFormat { bf16, fp8, nvfp4 };
std::string to_text(PayloadFormat format);

struct Precision {
  WeightFormat experts =
      WeightFormat::bf16;  // storage; fp8 and mxfp4 compute in fp8 where the accelerator has it
  WeightFormat dense = WeightFormat::bf16;
  PayloadFormat dispatch = PayloadFormat::bf16;
  PayloadFormat combine = PayloadFormat::bf16;
  WeightFormat kv_cache = WeightFormat::bf16;  // bf16 or fp8
};

enum class ReplicaChoice {
  even,
  nearest
};  // copies dealt evenly over replicas; or same rank, same node, then even

// One MoE layer of one EP group: physical expert p (slot) holds logical expert replica_of[p] on
// rank rank_of[p], rank_of ascending, ranks numbered within the EP group, slots / ranks slots each.
struct Placement {
  std::vector<LogicalExpert> replica_of;
  std::vector<Rank> rank_of;
};

// What follows attention under tensor parallelism: every rank gets the sums of its own share of
// the tokens, or of all.
enum class TensorReduction { scatter, allreduce };

struct ShardingPlan {
  Parallelism parallelism;
  TensorReduction tensor_reduction = TensorReduction::scatter;
  int redundant_experts = 0;  // slots beyond the logical experts, per MoE layer and EP group
  std::string placement_strategy = "contiguous";
  std::vector<Placement> placement;  // by trace MoE layer
  ReplicaChoice replica_choice = ReplicaChoice::even;
  std::string dispatch = "deepep_low_latency", combine = "deepep_low_latency";
  std::string overlap = "none";
  int max_tokens_per_rank =
      0;  // buffers are allocated for this many; 0 = the batch's largest, rounded up to 128
  double capacity_factor = 0;  // of ExchangeShape
  int exchange_sms = 0;        // held by dispatch and combine kernels; 0 = the algorithm's default
  Precision precision;
};

// Throws InputError (key in the message) unless: tensor divides ranks; expert divides ranks; slots
// = experts + redundant divide by expert (names the nearest EP sizes that do); redundant <= experts
// * (expert - 1).
void check_plan(const ShardingPlan& plan, const MoeModel& model);

}  // namespace moesim
