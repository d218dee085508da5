// One line of a Megatron-LM routing trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"

namespace moesim {

struct MegatronRecord {
  std::int64_t step = 0;
  int layer = 0;
  std::int32_t rank = 0;
  std::size_t tokens = 0, top_k = 0;
  std::string block = "decoder";       // or "mtp"
  std::vector<std::uint16_t> experts;  // [token][slot], kNotRouted where negative
};

// Reads a line as a stream, without a tree of its numbers. InputError with the line, and the column
// of a syntax error or the key and indices of a value: not an object, a key missing or twice, a
// value of another type or out of range (`experts`: 0 = unknown), rows that are not num_tokens x
// topk.
MegatronRecord read_megatron_record(std::string_view line, const Location& where, int experts);

}  // namespace moesim
