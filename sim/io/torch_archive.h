// What torch.save writes (a zip of data.pkl, data/<n>, version), read without running any pickle
// code: a parser of the opcodes torch.save emits builds a plain tree of values, and every name the
// pickle asks for that is no torch tensor, storage or OrderedDict is refused.
// Format: torch/serialization.py and torch/_utils.py of PyTorch 1.6 to 2.x (pickle protocol 2;
// opcodes: Python's pickletools.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"

namespace moesim {

// Element types of a torch storage.
enum class TorchType { u8, i8, i16, i32, i64, f16, bf16, f32, f64, boolean };
std::size_t torch_size(TorchType type);
std::string to_text(TorchType type);  // "int32"

// A strided view into a storage, which is member data/<storage_key> of the archive. The bytes it
// reaches lie inside the storage: checked when the pickle was read.
struct TorchTensor {
  TorchType type{};
  std::string storage_key;
  std::vector<std::int64_t> shape, strides;  // in elements; a stride may be 0 (expanded)
  std::int64_t offset = 0;                   // first element in the storage
  std::int64_t elements() const;
};

class TorchTree;

// One value as the tree stores it: a number, or an index into the tree's table of its kind.
struct PickleValue {
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    real,
    text,
    list,
    tuple,
    dictionary,
    tensor,
    storage,
    name
  };
  Kind kind = Kind::none;
  std::int64_t payload = 0;
};

// A value of the tree: a cheap cursor that keeps the tree alive and knows its path from the root
// ("records[3].input_ids"), which messages name. as_*() throws InputError on a value of another
// type or out of range. Keys of dictionaries are texts or integers, the latter written in decimal.
class TorchValue {
 public:
  bool is_none() const;
  bool is_integer() const;
  bool is_list() const;  // list or tuple
  bool is_dictionary() const;
  bool is_tensor() const;

  std::vector<std::string> keys() const;                       // of a dictionary, in file order
  std::optional<TorchValue> find(std::string_view key) const;  // nullopt = missing
  TorchValue at(std::string_view key) const;                   // InputError = missing
  std::size_t size() const;                                    // of a list
  TorchValue item(std::size_t index) const;                    // of a list

  std::int64_t as_integer(std::int64_t low, std::int64_t high) const;  // both ends allowed
  std::string as_text() const;
  std::vector<std::int64_t> as_integers() const;  // a list of integers
  const TorchTensor& as_tensor() const;
  // The elements of a tensor of integers or booleans in row-major order of its shape.
  std::vector<std::int64_t> tensor_integers() const;

  [[noreturn]] void fail(const std::string& message) const;  // InputError at this path

 private:
  friend class TorchArchive;
  TorchValue(std::shared_ptr<const TorchTree> tree, PickleValue value, std::string path);

  std::shared_ptr<const TorchTree> tree_;
  PickleValue value_;
  std::string path_;
};

// Reads a .pt file from memory; `bytes` must outlive it and its values; `name` stands in messages.
// InputError, with `name`, the member, the byte offset in data.pkl and the reason: what ZipArchive
// refuses; no data.pkl, or two; big-endian data; an opcode outside torch.save's; a name that is not
// on the list, such as "os system"; a stack or memo that does not fit; a tensor beyond its storage
// or whose storage is missing or of another size. This is the entry to fuzz.
class TorchArchive {
 public:
  TorchArchive(std::span<const std::byte> bytes, const std::string& name);
  TorchValue root() const;

 private:
  std::shared_ptr<const TorchTree> tree_;
};

}  // namespace moesim
