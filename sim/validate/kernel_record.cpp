// Kernels of records: formats, rows, and times against rates.
#include "sim/validate/kernel_record.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "sim/validate/typed_reader.h"

namespace moesim {

WeightFormat weight_format(const JsonNode& typed) {
  static const std::map<std::string, WeightFormat> formats{
      {"bf16", WeightFormat::bf16}, {"fp16", WeightFormat::bf16},   {"fp8", WeightFormat::fp8},
      {"mxfp8", WeightFormat::fp8}, {"mxfp4", WeightFormat::mxfp4}, {"nvfp4", WeightFormat::mxfp4}};
  std::vector<std::string> names;
  names.reserve(formats.size());
  for (const auto& [name, format] : formats) names.push_back(name);
  return formats.at(typed.at("dtype").as_choice(names, "dtype"));
}

ExpertLayout layout_of(const JsonNode& typed) {
  const std::string part =
      typed.at("part").as_choice({"grouped_masked", "grouped_contiguous"}, "part");
  return part == "grouped_masked" ? ExpertLayout::masked : ExpertLayout::contiguous;
}

std::string kernel_refusal(const JsonNode& typed, const std::vector<std::string>& parts) {
  const std::string part = typed.at("part").as_string(),
                    quantity = typed.at("quantity").as_string();
  if (std::find(parts.begin(), parts.end(), part) == parts.end())
    return "no kernel of this project stands for part \"" + part + "\"";
  if (quantity != "time" && quantity != "rate")
    return "quantity \"" + quantity + "\" is none that a kernel has";
  return "";
}

void set_times(const JsonNode& typed, double counted, Prediction& prediction) {
  const double value = typed.at("value").as_number();
  const bool is_time = typed.at("quantity").as_string() == "time";
  prediction.unit = is_time ? "us" : "TFLOPS";
  prediction.measured = Seconds(is_time ? value * 1e-6 : counted / (value * 1e12));
  prediction.value =
      is_time ? prediction.predicted.count() * 1e6 : counted / prediction.predicted.count() / 1e12;
  prediction.uniform = Seconds(std::numeric_limits<double>::quiet_NaN());
}

Prediction predict_kernels(const JsonNode& typed, const KernelTimer& timer, TimedWorks timed) {
  const KernelCost cost = timer.sum(timed.works);
  Prediction prediction;
  prediction.what = std::move(timed.what);
  prediction.conditions = std::move(timed.conditions);
  prediction.note = std::move(timed.note);
  prediction.predicted = cost.time;
  prediction.at_line_rate = timer.datasheet_time(timed.works);
  prediction.basis = cost.basis;
  set_times(typed, timed.counted, prediction);
  return prediction;
}

std::vector<std::uint32_t> spread_rows(double rows, int experts) {
  constexpr double kLeast = 0.7, kSpan = 0.6;
  std::vector<std::uint32_t> spread;
  spread.reserve(static_cast<std::size_t>(experts));
  for (int expert = 0; expert < experts; ++expert)
    spread.push_back(
        static_cast<std::uint32_t>(rows * (kLeast + kSpan * (expert + 0.5) / experts)));
  return spread;
}

}  // namespace moesim
