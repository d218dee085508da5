// Work of the experts on one rank: grouped products over their rows, by the layout the rows lie in.
// Formulas: docs/models.md, "Kernels".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/cost/kernel_work.h"

namespace moesim {

// masked: every expert has a buffer of its own that is filled in part (DeepEP's low-latency mode);
// contiguous: rows are sorted into one buffer, each expert's rounded up to blocks of 128, and
// gathered back after (prefill, Megatron).
enum class ExpertLayout { masked, contiguous };
std::string to_text(ExpertLayout layout);  // "masked", "contiguous"

// One product for each expert: rows_by_expert x inner times inner x outer. An expert without rows
// is not read.
KernelWork grouped_gemm_work(std::span<const std::uint32_t> rows_by_expert,
                             const MatrixShape& matrix,
                             ExpertLayout layout);

struct ExpertShape {
  std::int64_t hidden = 0, width = 0;
  bool gated = true;  // gate, up and down; false: up and down
  WeightFormat format = WeightFormat::bf16;
  std::string precision = "bf16";
  ExpertLayout layout = ExpertLayout::masked;
};

// Both products and the activation between them; contiguous: also the sorting of rows before and
// the sum of results after. received_rows: rows that the rank got, a token's once (as many as
// copies where not said). Empty when no expert has a row.
std::vector<KernelWork> expert_work(std::span<const std::uint32_t> rows_by_expert,
                                    const ExpertShape& shape,
                                    std::optional<double> received_rows = std::nullopt);

// The experts of one rank as one measured kernel, "expert_ffn_masked" or "expert_ffn_contiguous":
// {hidden, width, experts} and {mean rows of an expert}.
struct NamedPoint {
  std::string kernel;
  TablePoint point;
};
NamedPoint expert_point(std::span<const std::uint32_t> rows_by_expert, const ExpertShape& shape);

}  // namespace moesim
