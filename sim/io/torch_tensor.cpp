// Storages and tensors of a torch archive: what a pickle says of them is checked against the
// members that hold their bytes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "sim/io/torch_tree.h"

namespace moesim {
namespace {

using Kind = PickleValue::Kind;

struct TypeEntry {
  TorchType type;
  std::string_view storage;  // the class torch.save names
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array<TypeEntry, 10> kTypes{
    {{TorchType::u8, "torch ByteStorage", "uint8", 1},
     {TorchType::i8, "torch CharStorage", "int8", 1},
     {TorchType::i16, "torch ShortStorage", "int16", 2},
     {TorchType::i32, "torch IntStorage", "int32", 4},
     {TorchType::i64, "torch LongStorage", "int64", 8},
     {TorchType::f16, "torch HalfStorage", "float16", 2},
     {TorchType::bf16, "torch BFloat16Storage", "bfloat16", 2},
     {TorchType::f32, "torch FloatStorage", "float32", 4},
     {TorchType::f64, "torch DoubleStorage", "float64", 8},
     {TorchType::boolean, "torch BoolStorage", "bool", 1}}};

const TypeEntry& entry(TorchType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [&](const TypeEntry& candidate) { return candidate.type == type; });
}

// A tuple of integers that may not be negative.
std::vector<std::int64_t> extents(const TorchTree& tree,
                                  const PickleValue& value,
                                  const std::string& what) {
  if (value.kind != Kind::tuple) throw InputError(what + " is no tuple");
  std::vector<std::int64_t> result;
  for (const PickleValue& extent : tree.sequences[static_cast<std::size_t>(value.payload)]) {
    if (extent.kind != Kind::integer || extent.payload < 0)
      throw InputError(what + " holds what is no integer from 0 up");
    result.push_back(extent.payload);
  }
  return result;
}

// One past the last element the tensor reaches, 0 when it holds none; nullopt = beyond 2^63.
std::optional<std::int64_t> reach(const TorchTensor& tensor) {
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return 0;
  std::int64_t last = tensor.offset;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t step = 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last))
      return std::nullopt;
  }
  if (__builtin_add_overflow(last, 1, &last)) return std::nullopt;
  return last;
}

bool holds_more_than(const TorchTensor& tensor, std::int64_t most) {
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return false;
  std::int64_t elements = 1;
  for (const std::int64_t extent : tensor.shape)
    if (__builtin_mul_overflow(elements, extent, &elements)) return true;
  return elements > most;
}

}  // namespace

std::size_t torch_size(TorchType type) { return entry(type).bytes; }
std::string to_text(TorchType type) { return std::string(entry(type).name); }

std::int64_t TorchTensor::elements() const {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;  // the rest may be huge
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

const std::vector<std::byte>& TorchTree::storage(const std::string& key) const {
  if (kept_key_ != key || kept_.empty()) {
    kept_ = archive.read(*archive.find(folder + "data/" + key));
    kept_key_ = key;
  }
  return kept_;
}

TorchStorage find_storage(const TorchTree& tree,
                          const std::vector<PickleValue>& id,
                          const std::string& place) {
  const auto text = [&](const PickleValue& value) {
    return tree.texts[static_cast<std::size_t>(value.payload)];
  };
  constexpr std::size_t kParts = 5;
  if (id.size() < kParts || id[0].kind != Kind::text || text(id[0]) != "storage" ||
      id[1].kind != Kind::name || id[2].kind != Kind::text || id[4].kind != Kind::integer)
    throw InputError(place + "a persistent id that is no (\"storage\", type, key, device, size)");
  const std::string& name = tree.names[static_cast<std::size_t>(id[1].payload)];
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(),
                                   [&](const TypeEntry& type) { return type.storage == name; });
  if (found == kTypes.end()) throw InputError(place + name + " is no storage");
  TorchStorage storage{found->type, std::string(text(id[2])), id[4].payload};
  const std::string member = tree.folder + "data/" + storage.key;
  const ZipMember* held = tree.archive.find(member);
  if (held == nullptr)
    throw InputError(fmt::format("{}the storage's member \"{}\" is missing", place, member));
  std::int64_t bytes = 0;
  if (storage.elements < 0 ||
      __builtin_mul_overflow(storage.elements, static_cast<std::int64_t>(found->bytes), &bytes) ||
      static_cast<std::uint64_t>(bytes) != held->bytes)
    throw InputError(fmt::format("{}a storage of {} {} elements, but member \"{}\" holds {} bytes",
                                 place, storage.elements, found->name, member, held->bytes));
  return storage;
}

TorchTensor rebuild_tensor(const TorchTree& tree,
                           const std::vector<PickleValue>& arguments,
                           const std::string& place) {
  constexpr std::size_t kNeeded = 4;  // storage, offset, shape, strides; then what gradients need
  if (arguments.size() < kNeeded || arguments[0].kind != Kind::storage ||
      arguments[1].kind != Kind::integer || arguments[1].payload < 0)
    throw InputError(place + "a tensor that is no (storage, offset, shape, strides)");
  const TorchStorage& storage = tree.storages[static_cast<std::size_t>(arguments[0].payload)];
  TorchTensor tensor{storage.type, storage.key, extents(tree, arguments[2], place + "the shape"),
                     extents(tree, arguments[3], place + "the strides"), arguments[1].payload};
  if (tensor.shape.size() != tensor.strides.size())
    throw InputError(fmt::format("{}{} extents but {} strides", place, tensor.shape.size(),
                                 tensor.strides.size()));
  if (holds_more_than(tensor, storage.elements))
    throw InputError(
        fmt::format("{}the tensor has more elements than its storage's {}; save a "
                    "contiguous copy",
                    place, storage.elements));
  const std::optional<std::int64_t> end = reach(tensor);
  if (!end || *end > storage.elements)
    throw InputError(fmt::format("{}the tensor reaches beyond its storage of {} elements", place,
                                 storage.elements));
  return tensor;
}

}  // namespace moesim
