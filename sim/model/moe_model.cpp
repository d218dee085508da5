// MoeModel's small facts: weight formats and the list of MoE layers.
#include "sim/model/moe_model.h"

#include <algorithm>
#include <array>

#include "sim/core/error.h"

namespace moesim {

namespace {

struct FormatFacts {
  const char* name;
  double bits;  // of a weight, with its share of scales and zero points
};

// docs/models.md, "Weight formats".
constexpr std::array<FormatFacts, 13> kFormats{{
    {"f32", 32},
    {"bf16", 16},
    {"fp8", 8 + 32.0 / (128 * 128)},  // one f32 scale a block of 128 x 128
    {"mxfp8", 8 + 8.0 / 32},          // one 8-bit scale for 32 values
    {"mxfp4", 4 + 8.0 / 32},
    {"nvfp4", 4 + 8.0 / 16},  // one fp8 scale for 16 values
    {"int4", 4 + 16.0 / 32},  // one bf16 scale for 32 values
    {"int4_g64", 4 + 16.0 / 64},
    {"int4_g128", 4 + 16.0 / 128},
    {"int4_g128_zero", 4 + (16.0 + 4) / 128},  // and a zero point of four bits
    {"ternary", 2},
    {"tq1_0", 54 * 8.0 / 256},  // five weights a byte, one f16 scale for 256
    {"iq1_s", 50 * 8.0 / 256},  // a codebook of ternary eights, scales for 32 and 256
}};

const FormatFacts& facts_of(WeightFormat format) {
  return kFormats.at(static_cast<std::size_t>(format));
}

}  // namespace

double bytes_per_weight(WeightFormat format) { return facts_of(format).bits / 8; }

std::string to_text(WeightFormat format) { return facts_of(format).name; }

const std::vector<std::string>& weight_format_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    all.reserve(kFormats.size());
    for (const FormatFacts& format : kFormats) all.emplace_back(format.name);
    return all;
  }();
  return names;
}

WeightFormat weight_format_named(const std::string& name) {
  const auto& names = weight_format_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError("unknown weight format \"" + name + "\"" + name_help(name, names));
  return static_cast<WeightFormat>(found - names.begin());
}

std::vector<std::size_t> MoeModel::moe_layers() const {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].ffn == FfnKind::moe) indices.push_back(i);
  }
  return indices;
}

}  // namespace moesim
