// What several architectures read alike about their mixtures of experts.
#pragma once

#include <string>
#include <vector>

#include "workloads/forward/moe.h"

namespace moesim {

// By layer, whether it is a mixture: layer l is one when (l + 1) is a multiple of
// decoder_sparse_step and l is not listed in mlp_only_layers (Qwen).
std::vector<bool> read_sparse_layers(ConfigReader& config, std::int64_t layers);

// num_experts or num_local_experts, whichever the configuration has: transformers 5 takes and
// writes either for most classes.
std::string experts_key(ConfigReader& config);

// What a class takes for DeepSeek's keys that are absent; null counts as none or 1.
struct DeepseekDefaults {
  std::int64_t shared = 0;                   // n_shared_experts
  double scale = 1;                          // routed_scaling_factor
  bool renormalise = true;                   // norm_topk_prob
  std::int64_t groups = 1, kept_groups = 1;  // n_group, topk_group
  std::int64_t dense = 0;                    // first_k_dense_replace
};

// n_group and topk_group (null: 1), checked: a group scores `scored` of its members (the sum of its
// two best, or its maximum), and the kept groups must hold top_k. Sets moe.routing.
void read_groups(ConfigReader& config,
                 std::int64_t scored,
                 MoeParameters& moe,
                 const DeepseekDefaults& absent = {});

// n_routed_experts, num_experts_per_tok, moe_intermediate_size, n_shared_experts,
// routed_scaling_factor, norm_topk_prob: DeepSeek's spelling, which GLM and others took over.
MoeParameters read_deepseek_moe(ConfigReader& config,
                                std::int64_t hidden,
                                const DeepseekDefaults& absent = {});

// first_k_dense_replace: layers below it are dense. InputError when none is left.
std::int64_t read_leading_dense(ConfigReader& config,
                                std::int64_t layers,
                                const DeepseekDefaults& absent = {});

// "softmax_topk_renormalised" or "softmax_topk", as norm_topk_prob says.
Router read_softmax_router(ConfigReader& config, bool renormalised_if_absent);

}  // namespace moesim
