// gemm: a matrix product, or one for each expert of a rank, as kernel benchmarks time them.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

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

// Rows of each expert: stated one by one, or alike. A rate counts the rows it states; of a time,
// the rows of the masked layout are the expected ones.
std::vector<std::uint32_t> rows_of(const JsonNode& typed,
                                   ExpertLayout layout,
                                   std::size_t experts) {
  const JsonNode stated = typed.at("tokens_per_expert");
  std::vector<std::uint32_t> rows;
  if (stated.is_array()) {
    for (const JsonNode& one : stated.items())
      rows.push_back(static_cast<std::uint32_t>(one.as_int(0, kMost)));
    if (rows.size() != experts)
      stated.fail(fmt::format("{} numbers of rows for {} experts", rows.size(), experts));
    if (std::accumulate(rows.begin(), rows.end(), 0.0) == 0)
      stated.fail("no expert has a row: there is nothing to time");
    return rows;
  }
  const auto each = static_cast<std::uint32_t>(stated.as_int(1, kMost));
  const bool expected =
      layout == ExpertLayout::masked && typed.at("quantity").as_string() == "time";
  if (expected && experts > 1) return spread_rows(each, static_cast<int>(experts));
  rows.assign(experts, each);
  return rows;
}

std::string rows_text(const std::vector<std::uint32_t>& rows, double sum) {
  return fmt::format("{:.1f} (at most {})", sum / static_cast<double>(rows.size()),
                     *std::max_element(rows.begin(), rows.end()));
}

TimedWorks grouped(const JsonNode& typed, const MatrixShape& matrix) {
  const auto experts = static_cast<std::size_t>(typed.at("local_experts").as_int(1, 65536));
  const ExpertLayout layout = layout_of(typed);
  const std::vector<std::uint32_t> rows = rows_of(typed, layout, experts);
  const JsonNode stated = typed.at("tokens_per_expert");
  const bool listed = stated.is_array();
  const double counted = listed ? std::accumulate(rows.begin(), rows.end(), 0.0)
                                : stated.as_number() * static_cast<double>(experts);
  return {
      "gemm " + typed.at("part").as_string(),
      fmt::format("{}, {} experts of {} rows, n {}, k {}, {}", typed.at("accelerator").as_string(),
                  experts,
                  listed ? rows_text(rows, counted) : fmt::format("{}", stated.as_int(1, kMost)),
                  matrix.outer, matrix.inner, typed.at("dtype").as_string()),
      "",
      {grouped_gemm_work(rows, matrix, layout)},
      2.0 * counted * static_cast<double>(matrix.inner) * static_cast<double>(matrix.outer)};
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
