// MoeModel's small facts: weight formats and the list of MoE layers.
#include "sim/model/moe_model.h"

namespace moesim {

double bytes_per_weight(WeightFormat format) {
  switch (format) {
    case WeightFormat::f32:
      return 4;
    case WeightFormat::bf16:
      return 2;
    case WeightFormat::fp8:
      return 1 + 4.0 / (128 * 128);  // one f32 scale a block of 128 x 128
    case WeightFormat::mxfp4:
      return (4 + 8.0 / 32) / 8;  // one 8-bit scale for 32 values
    case WeightFormat::int4:
      return (4 + 16.0 / 32) / 8;  // one bf16 scale for 32 values
  }
  return 0;
}

std::string to_text(WeightFormat format) {
  switch (format) {
    case WeightFormat::f32:
      return "f32";
    case WeightFormat::bf16:
      return "bf16";
    case WeightFormat::fp8:
      return "fp8";
    case WeightFormat::mxfp4:
      return "mxfp4";
    case WeightFormat::int4:
      return "int4";
  }
  return "";
}

std::vector<std::size_t> MoeModel::moe_layers() const {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].ffn == FfnKind::moe) indices.push_back(i);
  }
  return indices;
}

}  // namespace moesim
