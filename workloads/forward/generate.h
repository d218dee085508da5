// Writing on from a prompt, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "workloads/forward/forward.h"
#include "workloads/forward/sampling.h"

namespace moesim {

struct GenerateOptions {
  int tokens = 64;         // at most
  Sampling sampling = {};  // see there
  // Ids behind which generation ends; the one that ends it is part of the result.
  std::vector<std::int32_t> stops = {};
  int threads = 0;  // 0 = all cores; the result is the same
  // Called with each token as it is chosen; may be none.
  std::function<void(std::int32_t)> on_token = {};
};

// The tokens that follow the prompt. An encoder-decoder model reads the prompt with its encoder and
// its decoder begins at decoder_start(). The same seed gives the same tokens, on any number of
// threads. InputError: an empty prompt, ids outside the vocabulary, sampling out of range.
std::vector<std::int32_t> generate(const ForwardModel& model,
                                   std::span<const std::int32_t> prompt,
                                   const GenerateOptions& options);

// The generator that request number `request` of a run draws its tokens from: requests are
// independent of each other, however they are batched.
Random sampling_random(const Sampling& sampling, std::int64_t request);

// eos_token_id of the model folder's generation_config.json, else of its config.json (a number or a
// list); none where neither has it.
std::vector<std::int32_t> end_tokens(const std::string& model_folder);

}  // namespace moesim
