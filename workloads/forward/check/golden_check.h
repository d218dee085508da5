// Holds a model folder against outputs that another implementation recorded for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace moesim {

// Largest absolute differences that still pass.
struct CheckTolerance {
  double logits = 5e-5, router_logits = 5e-5, weights = 1e-5, blocks = 5e-5;
};

struct FolderCheck {
  std::string folder, model_type;
  std::size_t prompts = 0, tokens = 0, moe_layers = 0;
  // Largest absolute differences; nullopt where the folder holds nothing to compare with.
  std::optional<double> logits, router_logits, weights, block_inputs, block_outputs;
  std::size_t indices = 0, wrong_indices = 0;
  // Of the wrong ones, those between router logits so close that float32 noise decides: two choices
  // whose expected weights differ by less than 1e-6 of the larger. They do not fail the check.
  std::size_t near_ties = 0;
  bool passed = false;
};

// Runs every prompt and compares. The folder holds
//   config.json, model.safetensors or shards with model.safetensors.index.json
//   expected.json: input_ids [prompts][tokens] (decoder_input_ids for encoder-decoders), and
//   layers:
//     one object a MoE layer, in order, with topk_idx, and optionally topk_weights (both by falling
//     weight), router_logits, kept (1 or 0 a token: capacity); rows of all prompts one after
//     another
//   expected.safetensors (optional): logits, moe.<i>.input and moe.<i>.output of the i-th MoE layer
// InputError: a file is missing or malformed, or its shapes are not those of the model.
FolderCheck check_folder(const std::string& folder, const CheckTolerance& tolerance);

// One line a folder with a heading, then how many passed.
std::string check_text(const std::vector<FolderCheck>& checks, const CheckTolerance& tolerance);

}  // namespace moesim
