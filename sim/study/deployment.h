// A deployment of two kinds of pools: prefill pools hand the KV cache of each prompt to decode
// pools. How many of each a traffic needs. Formulas: docs/models.md, "Deployments".
#pragma once

#include <string>
#include <vector>

#include "sim/core/metric.h"
#include "sim/model/moe_model.h"
#include "sim/plan/sharding_plan.h"
#include "sim/result/result.h"

namespace moesim {

struct Traffic {  // means of a request
  double prompt_tokens = 4096, output_tokens = 1024;
  double cached_share = 0;  // of the prompt, found in a cache: not computed, yet handed over
  double requests_per_second =
      0;  // that the deployment must carry; 0 = what one prefill pool gives
};

struct PoolKind {
  std::string name;  // "prefill", "decode"
  int gpus = 0;      // of one pool
  Metric requests;   // 1/s that one pool carries
  double exact = 0;  // pools that the load needs
  int pools = 0;     // rounded up
};

struct Deployment {
  double requests_per_second = 0;
  PoolKind prefill, decode;
  int gpus = 0;
  Metric output_per_gpu;       // output tokens/s over all GPUs of the deployment, at the load
  Bytes hand_over;             // KV cache of one prompt, on all ranks that hold parts of it
  Metric hand_over_time;       // s: one rank's part over its GPU's scale-out bandwidth
  double hand_over_share = 0;  // of the decode GPUs' scale-out bandwidth, at the load
  Metric first_token;          // s: prefill steps of a prompt and the hand-over; no queueing
  Metric time_per_output_token;
};

// What a prompt's KV cache is, and what computes it.
struct HandOver {
  Bytes of_rank;           // on one rank of the decode pool
  int ranks = 1;           // that hold as much each: the TP group, of every pipeline stage
  BytesPerSecond nic;      // scale-out bandwidth of a GPU
  double step_tokens = 1;  // that a DP rank of the prefill pool computes in a step
  int prefill_stages = 1;  // of the prefill pool's pipeline
};

// `prefill` and `decode`: results of one point each, in these phases and of one model. InputError
// where a phase is another's, a pool did not run, shares and counts are out of range, or the load
// needs more than a million pools.
Deployment plan_deployment(const PointResult& prefill,
                           const PointResult& decode,
                           const Traffic& traffic,
                           const HandOver& hand_over);

}  // namespace moesim
