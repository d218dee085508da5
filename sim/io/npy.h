// NumPy's array file (.npy, format versions 1 to 3): 6 bytes of magic, 2 of version, the header's
// length, a Python dictionary as text, the elements. Format:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/io/files.h"

namespace moesim {

// The element types read and written; NumPy spells them |u1 |i1 <u2 <i2 <u4 <i4 <u8 <i8 <f2 <f4 <f8
// |b1. Big-endian numbers, complex numbers, texts, objects (which would be a pickle) and structures
// are refused.
enum class NpyType { u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64, boolean };
std::size_t npy_size(NpyType type);  // bytes of one element
std::string to_text(NpyType type);   // as NumPy spells it: "<i4"
bool is_npy_integer(NpyType type);   // u8 to i64; a boolean is none

// One array, row-major ("C order"), little-endian. `data` points into the bytes it was read from
// and need not be aligned to its element: copy it out, or use npy_integers.
struct NpyArray {
  NpyType type{};
  std::vector<std::int64_t> shape;  // empty = one element, a scalar
  std::span<const std::byte> data;  // elements() x npy_size(type) bytes
  std::size_t data_offset = 0;      // where `data` starts in the file
  std::int64_t elements() const;
};

// Reads a whole .npy file from memory (a mapped file, a member of a zip); `name` stands in
// messages. Nothing is believed before it is checked. InputError, with `name`, byte offset and
// reason: wrong magic or version, a header beyond the end of the file, a header that is no
// dictionary of exactly descr, fortran_order and shape, an element type not listed above,
// column-major ("Fortran") order, a shape whose size overflows, data shorter or longer than the
// shape. This is the entry to fuzz.
NpyArray read_npy(std::span<const std::byte> bytes, const std::string& name);

// A mapped .npy file; the array points into the mapping.
class NpyFile {
 public:
  explicit NpyFile(const std::string& path);  // InputError as read_npy and MappedFile
  const NpyArray& array() const { return array_; }
  const std::string& path() const { return file_.path(); }

 private:
  MappedFile file_;
  NpyArray array_;
};

// The elements of an array of integers, widened. InputError (with `name` and the element's index)
// for an array of another type and for a u64 above 2^63 - 1.
std::vector<std::int64_t> npy_integers(const NpyArray& array, const std::string& name);

// The file's content for these elements (version 1, 2 where the header needs it), as NumPy writes
// it: data from a multiple of 64 bytes. `data` must be product(shape) x npy_size(type) bytes long.
std::string npy_content(NpyType type,
                        std::span<const std::int64_t> shape,
                        std::span<const std::byte> data);
void write_npy(const std::string& path,  // whole or not at all, see write_file
               NpyType type,
               std::span<const std::int64_t> shape,
               std::span<const std::byte> data);

}  // namespace moesim
