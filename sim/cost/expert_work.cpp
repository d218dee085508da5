// Grouped products of the experts.
#include "sim/cost/expert_work.h"

#include <numeric>

namespace moesim {
namespace {

constexpr std::uint32_t kBlockRows = 64;

}  // namespace

KernelWork grouped_gemm_work(std::span<const std::uint32_t> rows_by_expert,
                             const MatrixShape& matrix,
                             ExpertLayout /*layout*/) {
  double active = 0, rows = 0, padded = 0;
  for (const std::uint32_t expert : rows_by_expert) {
    if (expert == 0) continue;
    active += 1;
    rows += expert;
    padded += static_cast<double>((expert + kBlockRows - 1) / kBlockRows * kBlockRows);
  }
  const auto k = static_cast<double>(matrix.inner), n = static_cast<double>(matrix.outer);
  return {"expert_gemm", Flops(2 * padded * k * n),
          Bytes(active * k * n * bytes_per_weight(matrix.format) +
                rows * (k * activation_bytes(matrix.precision) + 2 * n)),
          matrix.precision};
}

std::vector<KernelWork> expert_work(std::span<const std::uint32_t> rows_by_expert,
                                    const ExpertShape& shape) {
  if (std::accumulate(rows_by_expert.begin(), rows_by_expert.end(), std::uint64_t{0}) == 0)
    return {};
  const std::int64_t inward = shape.gated ? 2 : 1;
  KernelWork both = grouped_gemm_work(
      rows_by_expert, {shape.hidden, inward * shape.width, shape.format, shape.precision},
      shape.layout);
  const KernelWork down = grouped_gemm_work(
      rows_by_expert, {shape.width, shape.hidden, shape.format, shape.precision}, shape.layout);
  both.flops += down.flops;
  both.bytes += down.bytes;
  return {both};
}

}  // namespace moesim
