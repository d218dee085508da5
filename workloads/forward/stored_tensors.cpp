// From tensors to matrices: one function a format.
#include "workloads/forward/stored_tensors.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr std::int64_t kFp8Block = 128, kMicroscaling = 32;

std::int64_t blocks(std::int64_t size, std::int64_t block) { return (size + block - 1) / block; }

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

// The shape of a stored matrix, behind or within the axis of slices if there is one.
std::vector<std::int64_t> with_slices(const MatrixRequest& request,
                                      std::vector<std::int64_t> shape) {
  if (request.slice >= 0 && request.joined)
    shape.front() *= request.slices;
  else if (request.slice >= 0)
    shape.insert(shape.begin(), request.slices);
  return shape;
}

std::string label_of(const TensorPlace& place) {
  return fmt::format("{}: tensor {}", *place.file, place.tensor->name);
}

void check_shape(const TensorPlace& place, const std::vector<std::int64_t>& shape) {
  if (place.tensor->shape != shape)
    throw InputError(fmt::format("{} has shape {}, but config.json implies {}", label_of(place),
                                 text_of(place.tensor->shape), text_of(shape)));
}

// The bytes of the slice asked for; the tensor's size is a multiple of the number of slices.
const std::byte* slice_of(const MatrixRequest& request, const TensorPlace& place) {
  const auto& data = place.tensor->data;
  if (request.slice < 0) return data.data();
  return data.data() + data.size() / static_cast<std::size_t>(request.slices) *
                           static_cast<std::size_t>(request.slice);
}

ScaleFormat scale_format(const TensorPlace& place) {
  switch (place.tensor->dtype) {
    case Dtype::f32:
      return ScaleFormat::f32;
    case Dtype::bf16:
      return ScaleFormat::bf16;
    case Dtype::f16:
      return ScaleFormat::f16;
    case Dtype::f8_e8m0:
    case Dtype::u8:  // how checkpoints older than the type name it
      return ScaleFormat::e8m0;
    default:
      throw InputError(fmt::format("{} is stored as {}; scales must be F32, BF16, F16 or F8_E8M0",
                                   label_of(place), to_text(place.tensor->dtype)));
  }
}

Weight::Part plain(const MatrixRequest& request,
                   const TensorPlace& place,
                   ElementFormat format,
                   std::int64_t columns) {
  std::vector<std::int64_t> shape{request.rows, columns};
  if (request.transposed) std::swap(shape[0], shape[1]);
  check_shape(place, with_slices(request, shape));
  Weight::Part part;
  part.matrix.format = format;
  part.matrix.data = slice_of(request, place);
  part.matrix.stride = shape[1];
  part.rows = request.rows;
  part.transposed = request.transposed;
  part.label = label_of(place);
  if (request.slice > 0) part.first_element = request.slice * request.rows * columns;
  return part;
}

// Codes of 4 bits, two a byte; they have no transposed form.
Weight::Part packed(const MatrixRequest& request,
                    const TensorPlace& place,
                    ElementFormat format,
                    std::int64_t columns) {
  Weight::Part part;
  part.matrix.format = format;
  part.matrix.data = slice_of(request, place);
  part.matrix.stride = columns;
  part.rows = request.rows;
  part.label = label_of(place);
  if (request.slice > 0) part.first_element = request.slice * request.rows * columns;
  return part;
}

BlockScales scales_of(const MatrixRequest& request,
                      const TensorPlace& place,
                      std::int64_t block_rows,
                      std::int64_t block_columns,
                      std::int64_t across) {
  BlockScales scales;
  scales.format = scale_format(place);
  scales.data = slice_of(request, place);
  scales.stride = across;
  scales.block_rows = block_rows;
  scales.block_columns = block_columns;
  return scales;
}

// The names scales go by: DeepSeek-V3's, compressed-tensors', DeepSeek-V4's.
TensorPlace find_scales(const StoredTensors& tensors, const TensorPlace& codes) {
  const std::string& name = codes.tensor->name;
  const std::string weight = ".weight";
  std::vector<std::string> names{name + "_scale_inv", name + "_scale"};
  if (name.ends_with(weight))
    names.push_back(name.substr(0, name.size() - weight.size()) + ".scale");
  for (const std::string& candidate : names)
    if (const TensorPlace* found = tensors.find(candidate)) return *found;
  std::string list;
  for (const std::string& candidate : names) list += (list.empty() ? "" : ", ") + candidate;
  throw InputError(
      fmt::format("{} is stored as {}, but its scales are missing: none of {} is there",
                  label_of(codes), to_text(codes.tensor->dtype), list));
}

Weight::Part fp8(const StoredTensors& tensors,
                 const MatrixRequest& request,
                 const TensorPlace& place,
                 std::int64_t columns) {
  if (request.transposed)
    throw InputError(label_of(place) + ": FP8 stored transposed is not implemented");
  Weight::Part part = plain(request, place, ElementFormat::e4m3, columns);
  const TensorPlace scales = find_scales(tensors, place);
  const std::vector<std::int64_t>& shape = scales.tensor->shape;
  const std::int64_t rows = request.rows, across = blocks(columns, kFp8Block);
  const std::int64_t everything = std::numeric_limits<std::int64_t>::max();
  if (shape == with_slices(request, {rows, 1}) || shape == with_slices(request, {rows}))
    part.matrix.scales = scales_of(request, scales, 1, columns, 1);
  else if (request.slice < 0 && scales.tensor->elements() == 1)
    part.matrix.scales = scales_of(request, scales, everything, columns, 1);
  else {
    check_shape(scales, with_slices(request, {blocks(rows, kFp8Block), across}));
    part.matrix.scales = scales_of(request, scales, kFp8Block, kFp8Block, across);
  }
  return part;
}

Weight::Part fp4(const StoredTensors& tensors,
                 const MatrixRequest& request,
                 const TensorPlace& place,
                 std::int64_t columns) {
  const std::int64_t across = columns / kMicroscaling;
  check_shape(place, with_slices(request, {request.rows, columns / 2}));
  const TensorPlace scales = find_scales(tensors, place);
  check_shape(scales, with_slices(request, {request.rows, across}));
  Weight::Part part = packed(request, place, ElementFormat::e2m1, columns);
  part.matrix.scales = scales_of(request, scales, 1, kMicroscaling, across);
  return part;
}

// A type that `name` must have.
void check_type(const TensorPlace& place, Dtype wanted) {
  if (place.tensor->dtype != wanted)
    throw InputError(fmt::format("{} is stored as {}, not {}", label_of(place),
                                 to_text(place.tensor->dtype), to_text(wanted)));
}

void check_columns(const TensorPlace& place, std::int64_t columns, std::int64_t block) {
  if (columns % block != 0)
    throw InputError(fmt::format("{}: {} columns are no multiple of its blocks of {}",
                                 label_of(place), columns, block));
}

Weight::Part mxfp4(const StoredTensors& tensors,
                   const MatrixRequest& request,
                   std::int64_t columns) {
  const TensorPlace codes = *tensors.find(request.name + "_blocks");
  check_columns(codes, columns, kMicroscaling);
  const std::int64_t across = columns / kMicroscaling;
  check_type(codes, Dtype::u8);
  check_shape(codes, with_slices(request, {request.rows, across, kMicroscaling / 2}));
  const TensorPlace scales =
      tensors.at(request.name + "_scales", with_slices(request, {request.rows, across}));
  Weight::Part part = packed(request, codes, ElementFormat::e2m1, columns);
  part.matrix.scales = scales_of(request, scales, 1, kMicroscaling, across);
  if (part.matrix.scales.format != ScaleFormat::e8m0) check_type(scales, Dtype::u8);
  return part;
}

Weight::Part int4(const StoredTensors& tensors,
                  const MatrixRequest& request,
                  std::int64_t columns) {
  constexpr std::int64_t kCodesPerWord = 8;
  const TensorPlace codes = *tensors.find(request.name + "_packed");
  check_columns(codes, columns, kCodesPerWord);
  check_type(codes, Dtype::i32);
  check_shape(codes, with_slices(request, {request.rows, columns / kCodesPerWord}));
  const TensorPlace* scales = tensors.find(request.name + "_scale");
  if (scales == nullptr)
    throw InputError(fmt::format("{}: its scales are missing: {}_scale is not there",
                                 label_of(codes), request.name));
  const std::int64_t across = scales->tensor->shape.empty() ? 0 : scales->tensor->shape.back();
  check_shape(*scales, with_slices(request, {request.rows, across}));
  if (across == 0 || columns % across != 0 || columns / across % 2 != 0)
    throw InputError(fmt::format("{}: {} scales a row do not divide {} columns into even groups",
                                 label_of(*scales), across, columns));
  Weight::Part part = packed(request, codes, ElementFormat::int4, columns);
  part.matrix.scales = scales_of(request, *scales, 1, columns / across, across);
  return part;
}

}  // namespace

const TensorPlace* StoredTensors::find(const std::string& name) const {
  const auto found = places.find(name);
  return found == places.end() ? nullptr : &found->second;
}

TensorPlace StoredTensors::at(const std::string& name,
                              const std::vector<std::int64_t>& shape) const {
  const TensorPlace* place = find(name);
  if (place == nullptr)
    throw InputError(fmt::format("{}: tensor {} is missing (its shape would be {})", description,
                                 name, text_of(shape)));
  check_shape(*place, shape);
  return *place;
}

Weight::Part StoredTensors::matrix(const MatrixRequest& request, std::int64_t columns) const {
  const TensorPlace* place = find(request.name);
  if (place == nullptr) {
    if (find(request.name + "_blocks") != nullptr) return mxfp4(*this, request, columns);
    if (find(request.name + "_packed") != nullptr) return int4(*this, request, columns);
    std::vector<std::int64_t> shape{request.rows, columns};
    if (request.transposed) std::swap(shape[0], shape[1]);
    at(request.name, with_slices(request, shape));  // throws
  }
  switch (place->tensor->dtype) {
    case Dtype::f32:
      return plain(request, *place, ElementFormat::f32, columns);
    case Dtype::bf16:
      return plain(request, *place, ElementFormat::bf16, columns);
    case Dtype::f16:
      return plain(request, *place, ElementFormat::f16, columns);
    case Dtype::f8_e4m3:
      return fp8(*this, request, *place, columns);
    case Dtype::i8:
    case Dtype::u8:
      check_columns(*place, columns, kMicroscaling);
      return fp4(*this, request, *place, columns);
    default:
      throw InputError(
          fmt::format("{} is stored as {}; implemented are F32, BF16, F16, F8_E4M3, and 4-bit "
                      "codes packed in I8, U8 or I32",
                      label_of(*place), to_text(place->tensor->dtype)));
  }
}

}  // namespace moesim
