// Opening a torch archive, and the cursor over its values.
#include "sim/io/torch_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "sim/io/torch_tree.h"

namespace moesim {
namespace {

using Kind = PickleValue::Kind;

// A pickle's values take up to 16 bytes for each of its own: this bounds them at a few GiB.
constexpr std::uint64_t kMostPickleBytes = std::uint64_t{256} << 20U;

const char* word(Kind kind) {
  switch (kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return "a boolean";
    case Kind::integer:
      return "an integer";
    case Kind::real:
      return "a float";
    case Kind::text:
      return "a text";
    case Kind::list:
      return "a list";
    case Kind::tuple:
      return "a tuple";
    case Kind::dictionary:
      return "a dictionary";
    case Kind::tensor:
      return "a tensor";
    case Kind::storage:
      return "a storage";
    case Kind::name:
      return "a name";
  }
  return "";
}

// The folder of data.pkl, with its slash; torch names it after the file.
std::string find_folder(const ZipArchive& archive) {
  constexpr std::string_view kPickle = "data.pkl";
  const ZipMember* found = nullptr;
  for (const ZipMember& member : archive.members()) {
    const std::string& name = member.name;
    const bool named = name == kPickle || name.ends_with("/" + std::string(kPickle));
    if (!named) continue;
    if (found != nullptr)
      throw InputError(
          fmt::format("{}: two pickles, \"{}\" and \"{}\"", archive.name(), found->name, name));
    found = &member;
  }
  if (found == nullptr)
    throw InputError(
        fmt::format("{}: none of its {} members is a data.pkl: not written by "
                    "torch.save (or by the format before PyTorch 1.6)",
                    archive.name(), archive.members().size()));
  if (found->bytes > kMostPickleBytes)
    throw InputError(fmt::format("{}: {} declares {} bytes, allowed: {}", archive.name(),
                                 found->name, found->bytes, kMostPickleBytes));
  return found->name.substr(0, found->name.size() - kPickle.size());
}

void refuse_big_endian(const ZipArchive& archive, const std::string& folder) {
  const ZipMember* order = archive.find(folder + "byteorder");
  if (order == nullptr) return;  // written from PyTorch 2.1 on
  constexpr std::uint64_t kLongest = 16;
  if (order->bytes <= kLongest) {
    const std::vector<std::byte> bytes = archive.read(*order);
    if (std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "little")
      return;
  }
  throw InputError(archive.name() + ": member \"" + order->name + "\" is not \"little\"");
}

template <class T>
std::int64_t element(const std::byte* from) {
  T value{};
  std::memcpy(&value, from, sizeof(T));
  return static_cast<std::int64_t>(value);
}

using Reader = std::int64_t (*)(const std::byte*);
Reader reader(TorchType type) {
  switch (type) {
    case TorchType::u8:
    case TorchType::boolean:
      return element<std::uint8_t>;
    case TorchType::i8:
      return element<std::int8_t>;
    case TorchType::i16:
      return element<std::int16_t>;
    case TorchType::i32:
      return element<std::int32_t>;
    case TorchType::i64:
      return element<std::int64_t>;
    case TorchType::f16:
    case TorchType::bf16:
    case TorchType::f32:
    case TorchType::f64:
      return nullptr;
  }
  return nullptr;
}

// Row-major walk over the index of a tensor; returns the storage's element numbers.
template <class Visit>
void walk(const TorchTensor& tensor, const Visit& visit) {
  std::vector<std::int64_t> index(tensor.shape.size());
  std::int64_t at = tensor.offset;
  for (std::int64_t left = tensor.elements(); left > 0; --left) {
    visit(at);
    for (std::size_t d = index.size(); d > 0; --d) {
      const std::size_t i = d - 1;
      if (++index[i] < tensor.shape[i]) {
        at += tensor.strides[i];
        break;
      }
      at -= tensor.strides[i] * (tensor.shape[i] - 1);
      index[i] = 0;
    }
  }
}

}  // namespace

TorchArchive::TorchArchive(std::span<const std::byte> bytes, const std::string& name) {
  auto tree = std::make_shared<TorchTree>(ZipArchive(bytes, name), name);
  tree->folder = find_folder(tree->archive);
  refuse_big_endian(tree->archive, tree->folder);
  tree->pickle = tree->archive.read(*tree->archive.find(tree->folder + "data.pkl"));
  parse_torch_pickle(*tree);
  tree_ = std::move(tree);
}

TorchValue TorchArchive::root() const { return {tree_, tree_->root, ""}; }

TorchValue::TorchValue(std::shared_ptr<const TorchTree> tree, PickleValue value, std::string path)
    : tree_(std::move(tree)), value_(value), path_(std::move(path)) {}

bool TorchValue::is_none() const { return value_.kind == Kind::none; }
bool TorchValue::is_integer() const { return value_.kind == Kind::integer; }
bool TorchValue::is_list() const { return value_.kind == Kind::list || value_.kind == Kind::tuple; }
bool TorchValue::is_dictionary() const { return value_.kind == Kind::dictionary; }
bool TorchValue::is_tensor() const { return value_.kind == Kind::tensor; }

void TorchValue::fail(const std::string& message) const {
  throw InputError(
      fmt::format("{}: {}: {}", tree_->name, path_.empty() ? "the root" : path_, message));
}

std::vector<std::string> TorchValue::keys() const {
  if (!is_dictionary()) fail(fmt::format("is {}, expected a dictionary", word(value_.kind)));
  const auto& items = tree_->dictionaries[static_cast<std::size_t>(value_.payload)];
  std::vector<std::string> names;
  names.reserve(items.size());
  for (const auto& item : items) {
    const PickleValue& key = item.first;
    names.push_back(key.kind == Kind::text
                        ? std::string(tree_->texts[static_cast<std::size_t>(key.payload)])
                        : std::to_string(key.payload));
  }
  return names;
}

std::optional<TorchValue> TorchValue::find(std::string_view key) const {
  const std::vector<std::string> names = keys();
  const auto found = std::find(names.rbegin(), names.rend(), key);  // the last one set holds
  if (found == names.rend()) return std::nullopt;
  const auto place = static_cast<std::size_t>(std::distance(found, names.rend())) - 1;
  const auto& items = tree_->dictionaries[static_cast<std::size_t>(value_.payload)];
  return TorchValue(tree_, items[place].second,
                    path_.empty() ? std::string(key) : path_ + "." + std::string(key));
}

TorchValue TorchValue::at(std::string_view key) const {
  if (auto value = find(key)) return *value;
  fail("lacks \"" + std::string(key) + "\"" + name_help(key, keys()));
}

std::size_t TorchValue::size() const {
  if (!is_list()) fail(fmt::format("is {}, expected a list", word(value_.kind)));
  return tree_->sequences[static_cast<std::size_t>(value_.payload)].size();
}

TorchValue TorchValue::item(std::size_t index) const {
  if (index >= size()) fail(fmt::format("has {} items, no item {}", size(), index));
  return {tree_, tree_->sequences[static_cast<std::size_t>(value_.payload)][index],
          fmt::format("{}[{}]", path_, index)};
}

std::int64_t TorchValue::as_integer(std::int64_t low, std::int64_t high) const {
  if (!is_integer()) fail(fmt::format("is {}, expected an integer", word(value_.kind)));
  if (value_.payload < low || value_.payload > high)
    fail(fmt::format("is {}, allowed: {} to {}", value_.payload, low, high));
  return value_.payload;
}

std::string TorchValue::as_text() const {
  if (value_.kind != Kind::text) fail(fmt::format("is {}, expected a text", word(value_.kind)));
  return std::string(tree_->texts[static_cast<std::size_t>(value_.payload)]);
}

std::vector<std::int64_t> TorchValue::as_integers() const {
  std::vector<std::int64_t> values(size());
  const auto& items = tree_->sequences[static_cast<std::size_t>(value_.payload)];
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (items[i].kind != Kind::integer)
      item(i).fail(fmt::format("is {}, expected an integer", word(items[i].kind)));
    values[i] = items[i].payload;
  }
  return values;
}

const TorchTensor& TorchValue::as_tensor() const {
  if (!is_tensor()) fail(fmt::format("is {}, expected a tensor", word(value_.kind)));
  return tree_->tensors[static_cast<std::size_t>(value_.payload)];
}

std::vector<std::int64_t> TorchValue::tensor_integers() const {
  const TorchTensor& tensor = as_tensor();
  const Reader read = reader(tensor.type);
  if (read == nullptr) fail("is a tensor of " + to_text(tensor.type) + ", expected integers");
  std::vector<std::int64_t> values;
  if (tensor.elements() == 0) return values;
  values.reserve(static_cast<std::size_t>(tensor.elements()));
  const std::vector<std::byte>& bytes = tree_->storage(tensor.storage_key);
  const std::size_t size = torch_size(tensor.type);
  walk(tensor, [&](std::int64_t at) {
    values.push_back(read(bytes.data() + static_cast<std::size_t>(at) * size));
  });
  return values;
}

}  // namespace moesim
