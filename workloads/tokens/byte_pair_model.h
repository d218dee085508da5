// Byte-pair encoding over bytes: a word's bytes are joined, pair by pair, in the order in which
// training learned the pairs. Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; over bytes:
// GPT-2 (Radford et al. 2019).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/io/json_reader.h"
#include "workloads/tokens/text_map.h"

namespace moesim {

// The `model` of a tokenizer.json of type BPE with a byte-level vocabulary. Read-only once made:
// threads share it, each with a cache of its own.
class BytePairModel {
 public:
  // InputError: another type; dropout, byte_fallback, a prefix or suffix of words; a vocabulary
  // with an id twice or out of range; a merge that is no pair, or whose parts or whole are no
  // tokens.
  explicit BytePairModel(const JsonNode& model);

  // Words already encoded; texts repeat theirs.
  class Cache {
   public:
    const std::vector<std::int32_t>* find(std::string_view word) const;
    void keep(std::string_view word, std::vector<std::int32_t> ids);  // forgets all when full

   private:
    TextMap<std::vector<std::int32_t>> words_;
  };

  // Appends the ids of one word (bytes as they are). InputError where a byte has no token; `name`
  // is the text's. O(n log n) in the word's length.
  void encode(std::string_view word,
              const std::string& name,
              Cache& cache,
              std::vector<std::int32_t>& ids) const;

  std::optional<std::int32_t> id_of(std::string_view token) const;  // as the vocabulary spells it
  const TextMap<std::int32_t>& vocabulary() const { return ids_; }

 private:
  struct Merge {
    std::int32_t rank = 0, id = 0;
  };

  void read_vocabulary(const JsonNode& vocabulary);
  void read_merges(const JsonNode& merges);
  void add_merge(std::string_view left, std::string_view right, std::int32_t rank);
  void join_pairs(std::vector<std::int32_t>& ids) const;  // in join_pairs.cpp
  const Merge* merge_of(std::int32_t left, std::int32_t right) const;

  bool ignore_merges_ = false;   // a word that is a token is one token, merges or not
  TextMap<std::int32_t> ids_;    // spelling -> id
  TextMap<std::int32_t> words_;  // bytes -> id, for ignore_merges
  std::unordered_map<std::uint64_t, Merge> merges_;  // left << 32 | right
  std::array<std::int32_t, 256> byte_ids_{};         // -1 = no token
};

}  // namespace moesim
