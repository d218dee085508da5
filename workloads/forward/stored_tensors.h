// How a checkpoint's tensors spell a matrix in each of the stored formats: names, shapes and types
// of the codes and of their scales.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/io/safetensors.h"
#include "workloads/forward/weight.h"

namespace moesim {

struct TensorPlace {
  const TensorView* tensor;
  const std::string* file;
};

struct MatrixRequest {
  std::string name;
  std::int64_t rows = 0;
  // Of a tensor [n][rows][columns]: which of the n (experts fused in one tensor). -1: no such axis.
  std::int64_t slice = -1, slices = 0;
  bool joined = false;      // the slices lie along the first axis, without one of their own: DBRX
  bool transposed = false;  // stored [columns][rows], as gpt-oss and Llama 4 do
};

// All tensors of a checkpoint, and where one that is missing should have been.
struct StoredTensors {
  std::map<std::string, TensorPlace> places;
  std::string description;

  const TensorPlace* find(const std::string& name) const;
  // A tensor of this shape. InputError: missing (name and file), misshapen (found and expected).
  TensorPlace at(const std::string& name, const std::vector<std::int64_t>& shape) const;

  // The matrix `request.name`, in whichever form is there ([..] stands for the slices' axis):
  //   F32, BF16, F16   <name> [..][rows][columns]
  //   FP8              <name> F8_E4M3 with scales in <name>_scale_inv, <name>_scale, or, for a name
  //                    that ends in .weight, in .scale instead: one for each 128x128 block
  //                    [ceil(rows / 128)][ceil(columns / 128)], each row [rows][1], or all [1]
  //   FP4 (DeepSeek)   <name> I8, U8 [..][rows][columns / 2] with E8M0 scales as above, by row and
  //   32
  //                    columns
  //   MXFP4 (gpt-oss)  <name>_blocks U8 [..][rows][columns / 32][16], <name>_scales U8 [..][rows]
  //                    [columns / 32]; never transposed, though the same tensor in BF16 is
  //   int4 (pack-quantized)  <name>_packed I32 [rows][columns / 8], <name>_scale [rows][columns /
  //   g]
  // InputError as above, and for a type or scales that do not belong together.
  Weight::Part matrix(const MatrixRequest& request, std::int64_t columns) const;
};

}  // namespace moesim
