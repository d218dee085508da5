// The recorded outputs of a model folder (golden_check.h has the layout), all prompts in a row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesim {

struct ExpectedLayer {
  std::size_t rows = 0;                // tokens of all prompts
  std::vector<std::uint16_t> experts;  // [rows][top_k]; kNotRouted where the token was dropped
  std::vector<float> weights, router_logits, input, output;  // empty when not recorded
};

struct ExpectedOutput {
  std::string json_path;
  std::vector<std::vector<std::int32_t>> input_ids, decoder_input_ids;  // by prompt
  std::vector<ExpectedLayer> layers;
  std::vector<float> logits;
};

// InputError with file and key, also for ids and logits that do not fit the vocabulary.
ExpectedOutput read_expected(const std::string& folder, bool encoder_decoder, int vocabulary);

}  // namespace moesim
