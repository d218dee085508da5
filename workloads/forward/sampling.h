// Choosing the next token from logits: greedy, or drawn by seed.
#pragma once

#include <cstdint>
#include <span>

#include "sim/core/random.h"

namespace moesim {

// How a token is chosen. Not greedy: the logits are divided by the temperature, the top_k largest
// are kept, of these the fewest whose probabilities sum to top_p or more, and one is drawn from the
// softmax of what is left (the order of Hugging Face's generate and of vLLM; nucleus: arXiv
// 1904.09751, section 3.1). Among equal logits lower ids come first, here and in greedy.
struct Sampling {
  bool greedy = true;
  double temperature = 1;  // above 0
  double top_p = 1;        // in (0, 1]; 1 = all
  int top_k = 0;           // 0 = all
  std::uint64_t seed = 1;
};
// InputError naming the value that is out of its range.
void check_sampling(const Sampling& sampling);

// One token id from logits [vocabulary], not empty; uses `random` once, and not when greedy.
std::int32_t choose_token(std::span<const float> logits, const Sampling& sampling, Random& random);

}  // namespace moesim
