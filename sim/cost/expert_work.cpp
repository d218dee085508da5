// Grouped products of the experts and what stands around them.
#include "sim/cost/expert_work.h"

#include <numeric>

namespace moesim {
namespace {

// DeepGEMM README: M alignment of the contiguous layout. Kernels in bf16 (CUTLASS, Triton) have no
// such rule: they choose their blocks by the mean rows.
int block_rows(ExpertLayout layout, const std::string& precision) {
  return layout == ExpertLayout::contiguous && precision != "bf16" ? 128 : 0;
}

double sum_of(std::span<const std::uint32_t> rows) {
  return std::accumulate(rows.begin(), rows.end(), 0.0);
}

KernelWork pass(const char* kernel, double bytes) {
  return {kernel, Flops(0), Bytes(bytes), "bf16"};
}

}  // namespace

std::string to_text(ExpertLayout layout) {
  return layout == ExpertLayout::masked ? "masked" : "contiguous";
}

KernelWork grouped_gemm_work(std::span<const std::uint32_t> rows_by_expert,
                             const MatrixShape& matrix,
                             ExpertLayout layout) {
  double active = 0;
  for (const std::uint32_t rows : rows_by_expert) active += rows > 0 ? 1 : 0;
  const double rows = sum_of(rows_by_expert), in = activation_bytes(matrix.precision);
  const auto k = static_cast<double>(matrix.inner), n = static_cast<double>(matrix.outer);
  KernelWork work{"grouped_gemm_" + to_text(layout), Flops(2 * rows * k * n),
                  Bytes(active * k * n * bytes_per_weight(matrix.format) + rows * (k * in + 2 * n)),
                  matrix.precision,
                  grouped_tiles(rows_by_expert, block_rows(layout, matrix.precision))};
  work.tiles.inner = k;
  work.tiles.outer = n;
  work.tiles.element_bytes = in;
  const auto experts = static_cast<double>(rows_by_expert.size());
  work.point = {{k, n, experts}, {rows / experts, 0}};
  return work;
}

std::vector<KernelWork> expert_work(std::span<const std::uint32_t> rows_by_expert,
                                    const ExpertShape& shape,
                                    std::optional<double> received_rows) {
  const double rows = sum_of(rows_by_expert);
  if (rows == 0) return {};
  const bool sorted = shape.layout == ExpertLayout::contiguous;
  const double received = received_rows.value_or(rows), in = activation_bytes(shape.precision);
  const auto hidden = static_cast<double>(shape.hidden), width = static_cast<double>(shape.width);
  const std::int64_t inward = shape.gated ? 2 : 1;
  std::vector<KernelWork> works;
  if (sorted) works.push_back(pass("row_sort", (received + rows) * hidden * in));
  works.push_back(grouped_gemm_work(
      rows_by_expert, {shape.hidden, inward * shape.width, shape.format, shape.precision},
      shape.layout));
  works.push_back(pass("elementwise", rows * width * (2.0 * static_cast<double>(inward) + in)));
  works.push_back(grouped_gemm_work(
      rows_by_expert, {shape.width, shape.hidden, shape.format, shape.precision}, shape.layout));
  if (sorted) works.push_back(pass("row_sort", (rows + received) * hidden * 2));
  return works;
}

NamedPoint expert_point(std::span<const std::uint32_t> rows_by_expert, const ExpertShape& shape) {
  const auto experts = static_cast<double>(rows_by_expert.size());
  return {"expert_ffn_" + to_text(shape.layout),
          {{static_cast<double>(shape.hidden), static_cast<double>(shape.width), experts},
           {sum_of(rows_by_expert) / experts, 0}}};
}

}  // namespace moesim
