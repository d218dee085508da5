// Reading and writing safetensors files. The header is not believed until every tensor's place is
// known to lie in the file and the places to fill it without overlap or hole.
#include "sim/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "sim/io/json_reader.h"

namespace moesim {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kHeaderLimit = 100'000'000;  // the format's own limit
constexpr std::int64_t kSizeLimit = std::int64_t{1} << 48;

struct DtypeName {
  Dtype dtype;
  std::size_t size;
  const char* name;
};
// In the order of the enumeration.
constexpr std::array<DtypeName, 16> kDtypes{{{Dtype::f32, 4, "F32"},
                                             {Dtype::bf16, 2, "BF16"},
                                             {Dtype::f16, 2, "F16"},
                                             {Dtype::i32, 4, "I32"},
                                             {Dtype::i64, 8, "I64"},
                                             {Dtype::u8, 1, "U8"},
                                             {Dtype::u16, 2, "U16"},
                                             {Dtype::i8, 1, "I8"},
                                             {Dtype::i16, 2, "I16"},
                                             {Dtype::u32, 4, "U32"},
                                             {Dtype::u64, 8, "U64"},
                                             {Dtype::f64, 8, "F64"},
                                             {Dtype::boolean, 1, "BOOL"},
                                             {Dtype::f8_e4m3, 1, "F8_E4M3"},
                                             {Dtype::f8_e5m2, 1, "F8_E5M2"},
                                             {Dtype::f8_e8m0, 1, "F8_E8M0"}}};

const DtypeName& entry_of(Dtype dtype) { return kDtypes[static_cast<std::size_t>(dtype)]; }

Dtype read_dtype(const JsonNode& node) {
  std::vector<std::string> names;
  names.reserve(kDtypes.size());
  for (const auto& entry : kDtypes) names.emplace_back(entry.name);
  const std::string name = node.as_choice(names, "element type");
  const auto found = std::find(names.begin(), names.end(), name);
  return kDtypes[static_cast<std::size_t>(found - names.begin())].dtype;
}

std::uint64_t header_length(const std::string& path, std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes)
    throw InputError(fmt::format(
        "{}: byte 0: not a safetensors file: {} bytes are fewer than the 8 of the header length",
        path, bytes.size()));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  if (length > kHeaderLimit)
    throw InputError(fmt::format(
        "{}: byte 0: header length {} exceeds the format's limit of {} bytes; is this a "
        "safetensors file?",
        path, length, kHeaderLimit));
  if (length > bytes.size() - kLengthBytes)
    throw InputError(fmt::format(
        "{}: byte 0: the header is said to end at byte {}, but the file ends at byte {}: truncated",
        path, length + kLengthBytes, bytes.size()));
  return length;
}

// One tensor's entry of the header; `data` is the file's data section.
TensorView read_tensor(const std::string& name,
                       const JsonNode& node,
                       const std::string& path,
                       std::span<const std::byte> data,
                       std::size_t data_start) {
  node.allow_only({"dtype", "shape", "data_offsets"});
  TensorView view;
  view.name = name;
  view.dtype = read_dtype(node.at("dtype"));
  std::int64_t size = static_cast<std::int64_t>(dtype_size(view.dtype));
  for (const JsonNode& dimension : node.at("shape").items()) {
    view.shape.push_back(dimension.as_int(0, kSizeLimit));
    if (__builtin_mul_overflow(size, view.shape.back(), &size) || size > kSizeLimit)
      dimension.fail(fmt::format("the shape of tensor {} is impossibly large", name));
  }
  const std::vector<JsonNode> offsets = node.at("data_offsets").items();
  if (offsets.size() != 2) node.at("data_offsets").fail("must be two numbers: [first, end]");
  const std::int64_t first = offsets[0].as_int(0, kSizeLimit);
  const std::int64_t end = offsets[1].as_int(0, kSizeLimit);
  if (end < first)
    node.fail(fmt::format("tensor {}: offsets [{}, {}] run backwards", name, first, end));
  if (end - first != size)
    node.fail(fmt::format("tensor {}: offsets [{}, {}] span {} bytes, its shape and type need {}",
                          name, first, end, end - first, size));
  if (static_cast<std::uint64_t>(end) > data.size())
    throw InputError(fmt::format(
        "{}: tensor {}: its data is said to end at byte {}, but the file ends at byte {}: "
        "truncated",
        path, name, data_start + static_cast<std::uint64_t>(end), data_start + data.size()));
  view.data = data.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size));
  return view;
}

// The tensors must fill the data section: a gap or overlap means the header lies about something.
void check_cover(const std::map<std::string, TensorView>& tensors,
                 const std::string& path,
                 std::span<const std::byte> data,
                 std::size_t data_start) {
  std::vector<const TensorView*> by_place;
  by_place.reserve(tensors.size());
  for (const auto& entry : tensors) by_place.push_back(&entry.second);
  std::sort(by_place.begin(), by_place.end(), [](const TensorView* a, const TensorView* b) {
    return std::pair(a->data.data(), a->data.size()) < std::pair(b->data.data(), b->data.size());
  });
  const std::byte* place = data.data();
  const auto offset = [&](const std::byte* at) {
    return data_start + static_cast<std::size_t>(at - data.data());
  };
  for (const TensorView* tensor : by_place) {
    if (tensor->data.data() != place)
      throw InputError(fmt::format("{}: tensor {} starts at byte {}, {} byte {}", path,
                                   tensor->name, offset(tensor->data.data()),
                                   tensor->data.data() < place
                                       ? "inside the tensor before it, which ends at"
                                       : "leaving a hole from",
                                   offset(place)));
    place += tensor->data.size();
  }
  if (place != data.data() + data.size())
    throw InputError(fmt::format("{}: byte {}: {} bytes after the last tensor belong to none", path,
                                 offset(place), data.data() + data.size() - place));
}

}  // namespace

std::size_t dtype_size(Dtype dtype) { return entry_of(dtype).size; }
std::string to_text(Dtype dtype) { return entry_of(dtype).name; }

std::int64_t TensorView::elements() const {
  return static_cast<std::int64_t>(data.size() / dtype_size(dtype));
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : file_(std::make_shared<MappedFile>(path)) {
  const std::span<const std::byte> bytes = file_->bytes();
  const std::size_t length = header_length(path, bytes);
  const std::size_t data_start = kLengthBytes + length;
  data_ = bytes.subspan(data_start);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  const JsonNode header = read_json_text(text, path + " (header, from byte 8)");
  if (!header.is_object()) header.fail("the header must be a JSON object");
  for (const std::string& name : header.keys()) {
    const JsonNode node = header.at(name);
    if (name == "__metadata__") {
      for (const std::string& key : node.keys()) metadata_[key] = node.at(key).as_string();
      continue;
    }
    tensors_.emplace(name, read_tensor(name, node, path, data_, data_start));
  }
  check_cover(tensors_, path, data_, data_start);
}

const TensorView* SafetensorsFile::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void write_safetensors(const std::string& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorStream> streams;
  streams.reserve(tensors.size());
  for (const TensorView& tensor : tensors)
    streams.push_back({tensor.name, tensor.dtype, tensor.shape,
                       [data = tensor.data](const Sink& sink) { sink(data); }});
  stream_safetensors(path, streams, metadata);
}

void stream_safetensors(const std::string& path,
                        const std::vector<TensorStream>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  std::vector<std::size_t> sizes;
  sizes.reserve(tensors.size());
  for (const TensorStream& tensor : tensors) {
    sizes.push_back(dtype_size(tensor.dtype));
    for (const std::int64_t dimension : tensor.shape)
      sizes.back() *= static_cast<std::size_t>(dimension);
    const std::size_t end = offset + sizes.back();
    header[tensor.name] = {
        {"dtype", to_text(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  std::array<std::byte, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<std::byte>(static_cast<std::uint64_t>(text.size()) >> (8 * i));
  write_file(path, [&](const Sink& sink) {
    sink(length);
    sink(std::as_bytes(std::span<const char>(text)));
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      std::size_t given = 0;
      tensors[i].fill([&](std::span<const std::byte> data) {
        given += data.size();
        sink(data);
      });
      if (given != sizes[i])
        throw std::logic_error(fmt::format("tensor {} is {} bytes, not the {} of its shape",
                                           tensors[i].name, given, sizes[i]));
    }
  });
}

}  // namespace moesim
