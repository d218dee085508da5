// DeepSeek-V4's attention (DeepSeek-V4 report, arXiv 2606.19348, section 2; deepseek-ai's
// inference/model.py): every head attends to the last sliding_window tokens and to entries that
// stand for compress_ratio tokens each, all of them or those an indexer chooses. Key and value are
// one vector, shared by all heads.
#include "sim/cost/attention_parts.h"
#include "sim/cost/quantised_product.h"

namespace moesim {
namespace {

std::int64_t output_groups(const AttentionInputs& in) {  // of this rank's heads
  return tensor_share(in.shape, in.shape.heads / in.heads).output_groups;
}

void add_entries(const AttentionInputs& in,
                 const AttentionTokens& tokens,
                 std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const std::int64_t indexed = shape.index_heads != 0 ? shape.index_head_dim : 0;
  const std::int64_t width = shape.compressor_width(shape.head_dim + indexed);
  // Value and gate of the compressors are bf16 products; the weighted sum reads both.
  works.push_back(gemm_work(tokens.tokens, {in.hidden, 2 * width, WeightFormat::bf16, "bf16"}));
  works.push_back(elementwise_work(tokens.tokens, 2 * width));
  if (shape.index_heads == 0) return;
  works.push_back(
      gemm_work(tokens.tokens, {in.hidden, shape.index_heads, WeightFormat::bf16, "bf16"}));
  works.push_back(gemm_work(
      tokens.tokens,
      {shape.q_lora_rank, shape.index_heads * shape.index_head_dim, in.format, in.precision}));
  add_index_scan(in, tokens.entries, shape.compress_ratio, works);
}

}  // namespace

void add_compressed(const AttentionInputs& in,
                    const AttentionTokens& tokens,
                    std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const auto gemm = [&](std::int64_t inner, std::int64_t outer, std::int64_t count = 1) {
    const MatrixShape matrix{inner, outer, in.format, in.precision};
    if (count == 1) return add_product(tokens.tokens, matrix, works);
    works.push_back(gemm_work(tokens.tokens, matrix, count));
  };
  gemm(in.hidden, shape.q_lora_rank + shape.head_dim);
  works.push_back(elementwise_work(tokens.tokens, 2 * (shape.q_lora_rank + shape.head_dim)));
  gemm(shape.q_lora_rank, in.heads * shape.head_dim);
  if (shape.compress_ratio != 0) add_entries(in, tokens, works);
  const auto heads = static_cast<double>(in.heads), dim = static_cast<double>(shape.head_dim);
  for (const Phase phase : {Phase::decode, Phase::prefill}) {
    PhaseWork work = phase_work(tokens.entries, phase, shape);
    if (work.tokens == 0) continue;
    if (shape.compress_ratio != 0) {
      const PhaseWork entries =
          chosen_work(tokens.entries, phase, shape.index_topk, shape.compress_ratio);
      work.pairs += entries.pairs;
      work.attended += entries.attended;
    }
    works.push_back(core_work(
        work, {sparse_kernel(phase), heads, dim, dim, dim * in.kv_bytes, (2 * heads + 1) * dim}));
  }
  const std::int64_t groups = output_groups(in);
  gemm(in.heads * shape.head_dim / groups, shape.output_lora_rank, groups);
  gemm(groups * shape.output_lora_rank, in.hidden);
}

}  // namespace moesim
