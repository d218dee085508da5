// What a tokenizer does to text before cutting it: Unicode normalisation forms and a prefix.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/io/json_reader.h"

namespace moesim {

// The `normalizer` of a tokenizer.json: NFC, NFD, NFKC, NFKD, Prepend, and Sequence of these.
class Normalizer {
 public:
  Normalizer() = default;                     // leaves text as it is
  explicit Normalizer(const JsonNode& node);  // InputError: another type, named with the choices

  bool changes_nothing() const { return steps_.empty(); }
  std::u16string apply(std::u16string_view text) const;

 private:
  struct Step {
    std::string type;
    std::u16string prefix;  // of Prepend
  };
  void add(const JsonNode& node);
  std::vector<Step> steps_;
};

}  // namespace moesim
