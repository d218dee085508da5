// The precisions by name.
#include "sim/train/training_format.h"

#include <map>

#include "sim/core/error.h"
#include "sim/train/training_plan.h"

namespace moesim {
namespace {

const std::map<std::string, PartFormat>& formats() {
  static const std::map<std::string, PartFormat> known{{"bf16", {WeightFormat::bf16, "bf16"}},
                                                       {"fp8", {WeightFormat::fp8, "fp8"}},
                                                       {"mxfp8", {WeightFormat::mxfp8, "fp8"}},
                                                       {"nvfp4", {WeightFormat::nvfp4, "fp4"}}};
  return known;
}

}  // namespace

const std::vector<std::string>& training_precision_names() {
  static const std::vector<std::string> names{"bf16", "fp8", "mxfp8", "nvfp4"};
  return names;
}

PartFormat training_format(const std::string& precision) {
  const auto found = formats().find(precision);
  if (found == formats().end())
    throw InputError("unknown training precision \"" + precision + "\"" +
                     name_help(precision, training_precision_names()));
  return found->second;
}

}  // namespace moesim
