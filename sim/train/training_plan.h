// TrainingPlan: how one optimizer step is spread over GPUs and micro-batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cluster/accelerator.h"
#include "sim/model/moe_model.h"

namespace moesim {

// What backward computes again instead of keeping it:
//   off        nothing
//   selective  norms, activations and the up-projections of latent attention: cheap, and large to
//              keep
//   full       every layer's forward, of which only the input is kept
enum class Recompute { off, selective, full };
const std::vector<std::string>& recompute_names();   // in the order above
Recompute recompute_named(const std::string& name);  // one of recompute_names()

// Products of the forward and backward pass compute in it; weights of record, attention, router,
// head and exchanged rows are bf16 whatever it says.
const std::vector<std::string>& training_precision_names();  // bf16, fp8, mxfp8, nvfp4

struct TrainingPlan {
  int ranks = 1;
  int tensor = 1;          // TP, with sequence parallelism: norms, router and experts see 1/TP
  int pipeline = 1;        // stages
  int expert = 1;          // EP; of a stage's ranks, consecutive ones
  int virtual_stages = 1;  // chunks of layers a stage holds
  int micro_batch = 1, global_batch = 1;  // sequences: of a DP rank at once, of all in one step
  int sequence = 4096;                    // tokens
  std::string precision = "bf16";
  std::string schedule = "one_f_one_b";  // moesim list training_schedules
  std::string all_to_all = "nccl_pairwise";
  Recompute recompute = Recompute::off;
  bool overlap = false;   // exchanges run beside the other micro-batch's computation
  bool mtp = false;       // with the model's multi-token prediction module
  bool captured = false;  // kernels are replayed from graphs: the host never limits
  bool balanced = false;  // tokens are dealt evenly; else drawn at random, as forced balance does
  double skew_exponent = 0;              // of the draw; 0 = all experts alike
  std::vector<double> expert_load = {};  // of the draw, by expert; empty = as the exponent says
  double capacity_factor = 0;  // token drop: rows kept and padded to, over the even share; 0 = none

  int stage_ranks() const { return ranks / pipeline; }
  int data() const { return ranks / (tensor * pipeline); }
  int expert_data() const { return stage_ranks() / expert; }  // ranks with the same experts
  int micro_batches() const { return global_batch / (micro_batch * data()); }  // of a DP rank
  // Of a DP rank's micro-batch; attention's, and those that one rank of its TP group works on.
  std::int64_t tokens() const { return std::int64_t{micro_batch} * sequence; }
  std::int64_t rank_tokens() const { return (tokens() + tensor - 1) / tensor; }
};

// InputError, with the key as a scenario writes it, for sizes that do not divide: tensor x pipeline
// into ranks, expert into a stage's ranks, experts over expert, the global batch into micro-batches
// of all DP ranks, fewer layers than virtual stages in all; a precision the accelerator has no peak
// for; mtp of a model without such a module; overlap on one micro-batch.
void check_training(const TrainingPlan& plan,
                    const MoeModel& model,
                    const Accelerator& accelerator);

}  // namespace moesim
