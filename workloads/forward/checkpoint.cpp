// Finding tensors, checking them, and expanding BF16 and F32 storage to float32.
#include "workloads/forward/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "sim/io/json_reader.h"

namespace moesim {
namespace {

// BF16 is the upper half of a float32. memcpy: a tensor may start at any byte of its file.
void widen_bf16(const std::byte* from, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
}

void check_finite(const float* values,
                  std::int64_t count,
                  std::int64_t first,
                  const Weight::Part& part) {
  constexpr std::uint32_t kExponent = 0x7F800000;  // all ones: NaN or infinity
  bool bad = false;
  for (std::int64_t i = 0; i < count; ++i)
    bad |= (std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent;
  if (!bad) return;
  const float* found =
      std::find_if(values, values + count, [](float value) { return !std::isfinite(value); });
  throw InputError(fmt::format("{}: tensor {}: element {} is {}; weights must be finite",
                               *part.file, part.tensor->name, first + (found - values), *found));
}

// Elements first .. first + count of a tensor as float32, checked.
void expand_elements(const Weight::Part& part, std::int64_t first, std::int64_t count, float* out) {
  const std::byte* from =
      part.tensor->data.data() + static_cast<std::size_t>(first) * dtype_size(part.tensor->dtype);
  if (part.tensor->dtype == Dtype::bf16)
    widen_bf16(from, count, out);
  else if (count > 0)
    std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(float));
  check_finite(out, count, first, part);
}

}  // namespace

Weight::Weight(std::vector<Part> parts, std::int64_t columns, bool resident)
    : parts_(std::move(parts)), columns_(columns) {
  for (const Part& part : parts_) rows_ += part.rows;
  if (!resident) return;
  Floats expanded(static_cast<std::size_t>(rows_ * columns_));
  expand_to(0, rows_, expanded.data());
  resident_ = std::move(expanded);
}

const float* Weight::expand(std::int64_t first, std::int64_t count, Floats& buffer) const {
  if (!resident_.empty()) return resident_.data() + first * columns_;
  float* out = at_least(buffer, static_cast<std::size_t>(count * columns_));
  expand_to(first, count, out);
  return out;
}

void Weight::expand_to(std::int64_t first, std::int64_t count, float* out) const {
  for (const Part& part : parts_) {
    const std::int64_t begin = std::max<std::int64_t>(first, 0);
    const std::int64_t end = std::min(first + count, part.rows);
    if (begin < end) {
      expand_elements(part, begin * columns_, (end - begin) * columns_, out);
      out += (end - begin) * columns_;
    }
    first -= part.rows;
  }
}

Checkpoint::Checkpoint(const std::string& folder) {
  const std::string single = folder + "/model.safetensors";
  const std::string index = single + ".index.json";
  if (std::filesystem::exists(single)) {
    description_ = single;
    add_file(single);
  } else if (std::filesystem::exists(index)) {
    description_ = index;
    read_index(index, folder);
  } else {
    throw InputError(fmt::format(
        "{}: holds neither model.safetensors nor model.safetensors.index.json", folder));
  }
  std::int64_t elements = 0;
  for (const auto& entry : places_) elements += entry.second.tensor->elements();
  resident_ = elements * static_cast<std::int64_t>(sizeof(float)) < kResidentBytes;
}

Checkpoint::Checkpoint(std::uint64_t) {
  throw InputError("random weights are not implemented yet");
}
Checkpoint::~Checkpoint() = default;

void Checkpoint::add_file(const std::string& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  for (const auto& entry : files_.back()->tensors())
    places_[entry.first] = {&entry.second, &files_.back()->path()};
}

void Checkpoint::read_index(const std::string& path, const std::string& folder) {
  const JsonNode map = read_json_file(path).at("weight_map");
  std::map<std::string, const SafetensorsFile*> by_name;
  for (const std::string& tensor : map.keys()) {
    const std::string shard = map.at(tensor).as_string();
    // A shard is a file of this folder: a path that leaves it is not followed.
    if (shard.find('/') != std::string::npos)
      map.at(tensor).fail(fmt::format("\"{}\" must be a file name in the same folder", shard));
    if (by_name.count(shard) == 0) {
      add_file(fmt::format("{}/{}", folder, shard));
      by_name[shard] = files_.back().get();
    }
    if (by_name[shard]->find(tensor) == nullptr)
      map.at(tensor).fail(fmt::format("tensor {} is not in {}", tensor, by_name[shard]->path()));
  }
}

Checkpoint::Place Checkpoint::find(const std::string& name,
                                   const std::vector<std::int64_t>& shape) const {
  const auto found = places_.find(name);
  if (found == places_.end())
    throw InputError(fmt::format("{}: tensor {} is missing (its shape would be [{}])", description_,
                                 name, fmt::join(shape, ", ")));
  const Place& place = found->second;
  if (place.tensor->shape != shape)
    throw InputError(fmt::format("{}: tensor {} has shape [{}], but config.json implies [{}]",
                                 *place.file, name, fmt::join(place.tensor->shape, ", "),
                                 fmt::join(shape, ", ")));
  if (place.tensor->dtype != Dtype::f32 && place.tensor->dtype != Dtype::bf16)
    throw InputError(fmt::format("{}: tensor {} is stored as {}; only F32 and BF16 are implemented",
                                 *place.file, name, to_text(place.tensor->dtype)));
  return place;
}

std::shared_ptr<const Weight> Checkpoint::stacked(const std::vector<Request>& tensors,
                                                  std::int64_t columns) const {
  std::vector<Weight::Part> parts;
  for (const Request& request : tensors) {
    const Place place = find(request.name, {request.rows, columns});
    parts.push_back({place.tensor, place.file, request.rows});
  }
  return std::make_shared<const Weight>(std::move(parts), columns, resident_);
}

std::shared_ptr<const Weight> Checkpoint::matrix(const std::string& name,
                                                 std::int64_t rows,
                                                 std::int64_t columns) const {
  return stacked({{.name = name, .rows = rows}}, columns);
}

Floats Checkpoint::vector(const std::string& name, std::int64_t size) const {
  return tensor(name, {size});
}

Floats Checkpoint::tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const Place place = find(name, shape);
  const std::int64_t size = place.tensor->elements();
  Floats values(static_cast<std::size_t>(size));
  expand_elements({place.tensor, place.file, 1}, 0, size, values.data());
  return values;
}

}  // namespace moesim
