// Holds the routers against recorded router blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace moesim {

struct RouterCheck {
  std::string name, router;
  std::size_t tokens = 0, wrong_indices = 0;
  std::size_t skipped = 0;  // tokens whose record chose among equal scores of masked groups
  // Largest absolute differences; nullopt where the case records nothing to compare with.
  std::optional<double> router_logits, weights, block_output;
  bool passed = false;  // no wrong index, weights within 1e-5, router logits and output within 5e-5
};

// A JSON array of cases; each has name, router (a registered name), config (num_experts_per_tok,
// n_group, topk_group, routed_scaling_factor, norm_topk_prob, ... as the model's own), x
// [tokens][hidden], params (weights by the name they have in the model), and what was recorded:
// topk_idx, topk_weights [tokens][top_k] in any order, router_logits [tokens][experts], y
// [tokens][hidden] of the whole block; expert_tokens and expert_gates for expert_choice; dispatch,
// combine and slots for soft_moe. masked_group_fill "0.0" or "-inf" says what stood in place of
// masked groups. InputError with file, line and key.
std::vector<RouterCheck> check_router_cases(const std::string& file);

std::string router_check_text(const std::vector<RouterCheck>& checks);

}  // namespace moesim
