// FLOPs and bytes of each kernel, before any hardware is known. Formulas: docs/models.md,
// "Kernels".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/core/units.h"
#include "sim/cost/product_tiles.h"
#include "sim/model/moe_model.h"
#include "sim/plan/batch.h"

namespace moesim {

// Where a kernel stands among measured ones: what must be equal, and what may lie between two of
// them. Products: {k, n, experts} and {rows, of an expert}; attention: {heads, elements of a
// head's dot products, bytes of a cached token} and {requests, tokens attended by one}. All zero:
// the kernel stands nowhere.
struct TablePoint {
  std::array<double, 3> same{};
  std::array<double, 2> at{};
};

struct KernelWork {
  std::string kernel;     // its name in topologies/calibration/kernels.json
  Flops flops;            // of whole tiles where it has tiles, once it is timed
  Bytes bytes;            // device memory traffic
  std::string precision;  // it computes in: "bf16", "fp8", "f32"
  ProductTiles tiles = {};
  TablePoint point = {};
};

// A matrix: its sides, how it is stored and what it computes in.
struct MatrixShape {
  std::int64_t inner = 0, outer = 0;  // k, n
  WeightFormat format = WeightFormat::bf16;
  std::string precision = "bf16";
};
double activation_bytes(const std::string& precision);  // of one input element

// tokens x inner times inner x outer; `count` such products in one launch (one a head).
KernelWork gemm_work(std::int64_t tokens, const MatrixShape& matrix, std::int64_t count = 1);

// A pass over `values_a_token` bf16 values a token, reads and writes together.
KernelWork elementwise_work(std::int64_t tokens, std::int64_t values_a_token);

// Query-key pairs of an entry under a causal mask: new token i sees min(context + i, window)
// tokens.
double attention_pairs(const BatchEntry& entry, std::int64_t sliding_window);
// The same within chunks, and over the whole context for encoders.
double attention_pairs(const BatchEntry& entry, const AttentionShape& shape);

struct AttentionInputs {
  const AttentionShape& shape;
  std::int64_t hidden = 0;
  std::int64_t heads = 0, kv_heads = 0;  // on this rank
  WeightFormat format = WeightFormat::bf16;
  std::string precision;  // of the projections; the attention kernel itself computes in bf16
  double kv_bytes = 2;    // of one cached element
  // Ranks that share out each request's cache. In decode each attends to its part with the heads of
  // all; in prefill it has the whole cache gathered and attends with its own.
  int context_ranks = 1;
};

// Norm, projections and attention of one layer; empty where it has none. Grouped-query attention as
// it is; latent attention absorbed into the latent space for decode entries, expanded to heads for
// prefill entries. Index heads, compressed, linear and Mamba-2 layers: the kernels "index_scan",
// "attention_sparse_decode" (or _prefill) and "state_scan".
std::vector<KernelWork> attention_work(const AttentionInputs& inputs,
                                       std::span<const BatchEntry> entries);

}  // namespace moesim
