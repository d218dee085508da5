// The text header of a .npy file: what it says, and how its mistakes are reported. Only npy*.cpp
// include this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/io/npy.h"

namespace moesim {

struct NpyHeader {
  NpyType type{};
  std::vector<std::int64_t> shape;
};

// Reads the dictionary {'descr': '<i4', 'fortran_order': False, 'shape': (3, 4), } that `text` must
// be, padded with spaces and ended by a newline; it stands at byte `offset` of the file `name`.
// InputError for whatever else it holds.
NpyHeader read_npy_header(std::string_view text, std::size_t offset, const std::string& name);

[[noreturn]] void fail_npy(const std::string& name, std::size_t offset, const std::string& reason);
std::string npy_quoted(std::string_view text);  // printable and short, for messages

}  // namespace moesim
