// Tokenizers made in code for the tests: all 256 bytes have the id of their value, merges add ids
// from 256 on, so that an encoding can be worked out by hand.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/error.h"
#include "workloads/tokens/byte_alphabet.h"
#include "workloads/tokens/tokenizer.h"
#include "workloads/tokens/unicode_text.h"

namespace moesim::test {

// The patterns of four families, as their tokenizer.json files hold them: Qwen/Qwen3-30B-A3B,
// deepseek-ai/DeepSeek-V3 (three in a row), meta-llama/Meta-Llama-3-8B and openai/gpt-oss-20b.
inline const std::string kQwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline const std::string kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline const std::string kGptOss =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline const std::string kDeepSeekDigits = R"(\p{N}{1,3})";
inline const std::string kDeepSeekHan = "[一-龥\u3040-\u309F\u30A0-\u30FF]+";
inline const std::string kDeepSeekRest =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

inline nlohmann::json split_step(const std::string& pattern,
                                 const std::string& behaviour = "Isolated",
                                 bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", behaviour},
          {"invert", invert}};
}
inline nlohmann::json byte_level_step(bool use_regex = false, bool prefix = false) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", prefix},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}
inline nlohmann::json sequence_of(std::vector<nlohmann::json> steps) {
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}
inline nlohmann::json family(const std::string& pattern) {
  return sequence_of({split_step(pattern), byte_level_step()});
}
inline nlohmann::json deepseek_family() {
  return sequence_of({split_step(kDeepSeekDigits), split_step(kDeepSeekHan),
                      split_step(kDeepSeekRest), byte_level_step()});
}

inline std::string in_alphabet(const std::string& bytes) {
  std::string out;
  for (const char byte : bytes) out += alphabet_of_byte(static_cast<unsigned char>(byte));
  return out;
}

// A tokenizer.json without merges.
inline nlohmann::json byte_tokenizer(nlohmann::json pre_tokenizer) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte)
    vocabulary[alphabet_of_byte(static_cast<unsigned char>(byte))] = byte;
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", nlohmann::json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", std::move(pre_tokenizer)},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", std::move(vocabulary)},
            {"merges", nlohmann::json::array()}}}};
}

// Adds merges of these pairs of byte strings; the first makes token 256.
inline void add_merges(nlohmann::json& tokenizer,
                       const std::vector<std::pair<std::string, std::string>>& pairs,
                       bool as_pairs = false) {
  nlohmann::json& model = tokenizer["model"];
  for (const auto& [left, right] : pairs) {
    const std::string a = in_alphabet(left), b = in_alphabet(right);
    model["vocab"].emplace(a + b, model["vocab"].size());
    model["merges"].push_back(as_pairs ? nlohmann::json{a, b} : nlohmann::json(a + " " + b));
  }
}

inline Tokenizer tokenizer_of(const nlohmann::json& json) {
  return {json.dump(), "tokenizer.json"};
}

inline std::string tokenizer_refusal(const nlohmann::json& json) {
  try {
    tokenizer_of(json);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

// The words that a pre-tokenizer cuts a text into.
inline std::vector<std::string> words_of(const nlohmann::json& pre_tokenizer,
                                         const std::string& text) {
  const PreTokenizer cutter(read_json_text(pre_tokenizer.dump(), "pre_tokenizer"));
  PreTokenizer::Worker worker(cutter);
  const std::u16string wide = to_utf16(text, "text");
  SplitRegex::Budget budget = SplitRegex::budget_for(wide.size());
  std::vector<std::string> words;
  for (const std::u16string_view word : worker.cut(wide, budget)) {
    words.emplace_back();
    to_utf8(word, words.back());
  }
  return words;
}

}  // namespace moesim::test
