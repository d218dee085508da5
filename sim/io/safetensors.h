// The safetensors container (8-byte little-endian header length, JSON header, tensor data), read by
// mapping and written whole. Format: https://huggingface.co/docs/safetensors
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/io/files.h"

namespace moesim {

// The element types of the format; the file spells them F32, BF16, ... A reader refuses those it
// has no use for when it is asked for such a tensor. (F4 and F6, whose elements are no whole bytes,
// are refused with the file.)
enum class Dtype {
  f32,
  bf16,
  f16,
  i32,
  i64,
  u8,
  u16,
  i8,
  i16,
  u32,
  u64,
  f64,
  boolean,
  f8_e4m3,
  f8_e5m2,
  f8_e8m0
};
std::size_t dtype_size(Dtype dtype);
std::string to_text(Dtype dtype);

// One tensor of a mapped file; `data` points into the mapping (shape product x dtype size bytes).
struct TensorView {
  std::string name;
  Dtype dtype{};
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
  std::int64_t elements() const;
};

// A mapped safetensors file. The constructor checks the whole header before it believes any of it:
// length within the file, JSON well formed, known dtypes, offsets in order, inside the file and
// equal to shape x size, no overlap and no hole. InputError names the file, the tensor and the byte
// offset.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorView* find(const std::string& name) const;
  const std::string& path() const { return file_->path(); }
  std::span<const std::byte> data() const { return data_; }  // the tensor data, all of it

 private:
  std::shared_ptr<MappedFile> file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::span<const std::byte> data_;
};

// Writes tensors in the order given (data aligned to 8 bytes by padding the header), whole or not
// at all.
void write_safetensors(const std::string& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

// A tensor made while it is written: `fill` gives the sink its bytes in order, shape product x
// dtype size of them (std::logic_error when it gives another number).
struct TensorStream {
  std::string name;
  Dtype dtype{};
  std::vector<std::int64_t> shape;
  std::function<void(const Sink&)> fill;
};

// The same file for tensors that are never whole in memory.
void stream_safetensors(const std::string& path,
                        const std::vector<TensorStream>& tensors,
                        const std::map<std::string, std::string>& metadata);

}  // namespace moesim
