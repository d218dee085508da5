// gemm: a matrix product, or one for each expert of a rank, as kernel benchmarks time them.
#include <fmt/format.h>

#include "sim/validate/kernel_record.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

constexpr std::int64_t kMost = 1 << 24;

TimedWorks dense(const JsonNode& typed, const MatrixShape& matrix) {
  const std::int64_t m = typed.at("m").as_int(1, kMost);
  const KernelWork work = gemm_work(m, matrix);
  return {"gemm dense",
          fmt::format("{}, {} x {} x {} (m, n, k), {}", typed.at("accelerator").as_string(), m,
                      matrix.outer, matrix.inner, typed.at("dtype").as_string()),
          "",
          {work},
          work.flops.value};
}

// A rate counts the rows it states; of a time, the rows of the masked layout are the expected ones.
TimedWorks grouped(const JsonNode& typed, const MatrixShape& matrix) {
  const int experts = static_cast<int>(typed.at("local_experts").as_int(1, 65536));
  const auto rows = static_cast<std::uint32_t>(typed.at("tokens_per_expert").as_int(1, kMost));
  const ExpertLayout layout = layout_of(typed);
  const bool expected =
      layout == ExpertLayout::masked && typed.at("quantity").as_string() == "time";
  const std::vector<std::uint32_t> by_expert =
      expected && experts > 1 ? spread_rows(rows, experts)
                              : std::vector<std::uint32_t>(static_cast<std::size_t>(experts), rows);
  const double counted =
      2.0 * rows * experts * static_cast<double>(matrix.inner) * static_cast<double>(matrix.outer);
  return {
      "gemm " + typed.at("part").as_string(),
      fmt::format("{}, {} experts of {} rows, n {}, k {}, {}", typed.at("accelerator").as_string(),
                  experts, rows, matrix.outer, matrix.inner, typed.at("dtype").as_string()),
      "",
      {grouped_gemm_work(by_expert, matrix, layout)},
      counted};
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record,
                                           const std::string& /*calibration*/) {
  const JsonNode& typed = *record.typed;
  const std::string reason =
      kernel_refusal(typed, {"dense", "grouped_contiguous", "grouped_masked"});
  if (!reason.empty()) return Unmapped{reason};
  const Accelerator accelerator = load_accelerator(accelerator_file(typed.at("accelerator")));
  const KernelTimer timer(accelerator);
  const WeightFormat format = weight_format(typed);
  timer.check_precision(format);
  const MatrixShape matrix{typed.at("k").as_int(1, kMost), typed.at("n").as_int(1, kMost), format,
                           timer.compute_precision(format)};
  const bool is_dense = typed.at("part").as_string() == "dense";
  return predict_kernels(typed, timer, is_dense ? dense(typed, matrix) : grouped(typed, matrix));
}

const Registered<RecordKind> registered{
    "gemm", "a matrix product, dense or one an expert", {predict, {}}};

}  // namespace
}  // namespace moesim
