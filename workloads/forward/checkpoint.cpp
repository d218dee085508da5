// Opening a checkpoint's files and handing out its tensors.
#include "workloads/forward/checkpoint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "sim/io/json_reader.h"

namespace moesim {
namespace {

// What this process may use: the machine's memory, or less where its control group is limited.
std::int64_t memory_size() {
  std::int64_t size = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::int64_t limit = 0;
    if (std::ifstream(path) >> limit && limit > 0) size = std::min(size, limit);  // not "max"
  }
  return size;
}

template <class T>
std::int64_t integer_at(const TensorView& tensor, std::size_t i) {
  T value;
  std::memcpy(&value, tensor.data.data() + i * sizeof value, sizeof value);
  return static_cast<std::int64_t>(value);
}

std::int64_t integer(const TensorPlace& place, std::size_t i) {
  switch (place.tensor->dtype) {
    case Dtype::i64:
      return integer_at<std::int64_t>(*place.tensor, i);
    case Dtype::i32:
      return integer_at<std::int32_t>(*place.tensor, i);
    case Dtype::i16:
      return integer_at<std::int16_t>(*place.tensor, i);
    case Dtype::i8:
      return integer_at<std::int8_t>(*place.tensor, i);
    case Dtype::u8:
      return integer_at<std::uint8_t>(*place.tensor, i);
    default:
      throw InputError(fmt::format("{}: tensor {} is stored as {}, which is no integer type of ids",
                                   *place.file, place.tensor->name, to_text(place.tensor->dtype)));
  }
}

}  // namespace

Checkpoint::Checkpoint(const std::string& folder, std::int64_t memory) {
  const std::string single = folder + "/model.safetensors";
  const std::string index = single + ".index.json";
  if (std::filesystem::exists(single)) {
    stored_.description = single;
    add_file(single);
  } else if (std::filesystem::exists(index)) {
    stored_.description = index;
    read_index(index, folder);
  } else {
    throw InputError(fmt::format(
        "{}: holds neither model.safetensors nor model.safetensors.index.json", folder));
  }
  std::int64_t elements = 0, bytes = 0;
  for (const auto& entry : stored_.places) {
    elements += entry.second.tensor->elements();
    bytes += static_cast<std::int64_t>(entry.second.tensor->data.size());
  }
  // Packed codes count as at most four elements a byte: still far from a model too large to keep.
  if (elements * static_cast<std::int64_t>(sizeof(float)) < kResidentBytes)
    keep_ = Weight::Keep::resident;
  else if (bytes > (memory > 0 ? memory : memory_size()))
    keep_ = Weight::Keep::passing;
}

Checkpoint::Checkpoint(std::uint64_t seed) : random_(std::make_unique<RandomWeights>(seed)) {}
Checkpoint::~Checkpoint() = default;

void Checkpoint::add_file(const std::string& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  for (const auto& entry : files_.back()->tensors())
    stored_.places[entry.first] = {&entry.second, &files_.back()->path()};
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

std::shared_ptr<const Weight> Checkpoint::stacked(const std::vector<Request>& tensors,
                                                  std::int64_t columns) const {
  std::vector<Weight::Part> parts;
  parts.reserve(tensors.size());
  for (const Request& request : tensors)
    parts.push_back(
        random_ ? random_->matrix(request.name, {.rows = request.rows,
                                                 .columns = columns,
                                                 .slice = std::max<std::int64_t>(request.slice, 0),
                                                 .transposed = request.transposed})
                : stored_.matrix(request, columns));
  return std::make_shared<const Weight>(std::move(parts), columns, keep_);
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
  if (random_) return random_->tensor(name, shape);
  const TensorPlace place = stored_.at(name, shape);
  const std::int64_t size = place.tensor->elements();
  StoredTensors flat;  // the same data as one row
  TensorView row = *place.tensor;
  row.shape = {1, size};
  flat.places[name] = {&row, place.file};
  if (place.tensor->dtype != Dtype::f32 && place.tensor->dtype != Dtype::bf16 &&
      place.tensor->dtype != Dtype::f16)
    throw InputError(fmt::format("{}: tensor {} is stored as {}; F32, BF16 or F16 is needed",
                                 *place.file, name, to_text(place.tensor->dtype)));
  const Weight weight({flat.matrix({.name = name, .rows = 1}, size)}, size, Weight::Keep::stored);
  Floats values;
  weight.expand(0, size > 0 ? 1 : 0, values);
  return values;
}

std::vector<std::int64_t> Checkpoint::ids(const std::string& name,
                                          const std::vector<std::int64_t>& shape,
                                          std::int64_t limit) const {
  if (random_) return random_->ids(name, shape, limit);
  const TensorPlace place = stored_.at(name, shape);
  std::vector<std::int64_t> values(static_cast<std::size_t>(place.tensor->elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = integer(place, i);
    if (values[i] < 0 || values[i] >= limit)
      throw InputError(fmt::format("{}: tensor {}: element {} is {}, not between 0 and {}",
                                   *place.file, name, i, values[i], limit - 1));
  }
  return values;
}

}  // namespace moesim
