// The feed-forward parts: a gated network (SwiGLU, arXiv 2002.05202) and a mixture of them.
#pragma once

#include <memory>
#include <string>

#include "workloads/forward/config_reader.h"
#include "workloads/forward/layers.h"
#include "workloads/routers/router.h"

namespace moesim {

// down(silu(gate x) * up x)
struct GatedWeights {
  std::shared_ptr<const Weight> gate_up;  // [2 width][hidden], gate first
  std::shared_ptr<const Weight> down;     // [hidden][width]
};

// What a checkpoint calls the three matrices.
struct GatedNames {
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
};

GatedWeights load_gated(const Checkpoint& weights,
                        const std::string& prefix,
                        const GatedNames& names,
                        std::int64_t hidden,
                        std::int64_t width);

std::unique_ptr<FeedForward> make_dense(GatedWeights weights);

struct MoeParameters {
  std::int64_t hidden = 0, experts = 0, top_k = 0;
  std::int64_t width = 0;         // of one expert
  std::int64_t shared_width = 0;  // of the shared experts together; 0 = none
  Router router{};
  RouterParameters routing;  // correction_bias is taken from the weights
};

// Checks top_k against experts, and the number of experts against what a trace can hold.
void check_experts(const ConfigReader& config,
                   const std::string& experts_key,
                   const MoeParameters& parameters);

struct MoeWeights {
  std::shared_ptr<const Weight> router;  // [experts][hidden]
  Floats correction_bias;                // [experts] or empty
  std::vector<GatedWeights> experts;
  GatedWeights shared;  // null when there is none
};

// <prefix>gate.weight and <prefix>experts.<id>.<name>.weight; the caller adds what else there is.
MoeWeights load_moe(const Checkpoint& weights,
                    const std::string& prefix,
                    const GatedNames& names,
                    const MoeParameters& parameters);

std::unique_ptr<FeedForward> make_moe(const MoeParameters& parameters, MoeWeights weights);

}  // namespace moesim
