// Latent attention follows the DeepSeek-V2 paper (arXiv 2405.04434), section 2.1: in decode the
// up-projections are absorbed into query and output. With an indexer (DeepSeek-V3.2 report, section
// 2.1) it stays in the latent space in prefill too, since every query reads tokens of its own.
#include "sim/cost/attention_parts.h"
#include "sim/cost/quantised_product.h"

namespace moesim {
namespace {

void add_absorbed(const AttentionInputs& in,
                  Phase phase,
                  const PhaseWork& work,
                  std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  if (work.tokens == 0) return;
  const char* kernel = shape.index_heads != 0 ? sparse_kernel(phase) : "attention_decode_mla";
  const auto heads = static_cast<double>(in.heads),
             latent = static_cast<double>(shape.kv_lora_rank),
             cached = latent + static_cast<double>(shape.qk_rope_head_dim);
  works.push_back(gemm_work(work.tokens,
                            {shape.qk_nope_head_dim, shape.kv_lora_rank, in.format, in.precision},
                            in.heads));
  works.push_back(core_share(
      work,
      {kernel, heads, cached, latent, cached * in.kv_bytes, heads * (cached + latent) + cached},
      phase == Phase::decode ? in.context_ranks : 1));
  works.push_back(gemm_work(
      work.tokens, {shape.kv_lora_rank, shape.v_head_dim, in.format, in.precision}, in.heads));
}

void add_expanded(const AttentionInputs& in,
                  const PhaseWork& work,
                  std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  if (work.tokens == 0) return;
  const auto heads = static_cast<double>(in.heads),
             query_key = static_cast<double>(shape.qk_nope_head_dim + shape.qk_rope_head_dim),
             value = static_cast<double>(shape.v_head_dim);
  const std::int64_t expanded = in.heads * (shape.qk_nope_head_dim + shape.v_head_dim);
  works.push_back(gemm_work(static_cast<std::int64_t>(work.attended),
                            {shape.kv_lora_rank, expanded, in.format, in.precision}));
  works.push_back(core_work(work, {"attention_prefill", heads, query_key, value,
                                   2 * heads * (query_key + value), heads * (query_key + value)}));
}

}  // namespace

void add_latent(const AttentionInputs& in,
                const AttentionTokens& tokens,
                std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const auto gemm = [&](std::int64_t inner, std::int64_t outer) {
    add_product(tokens.tokens, {inner, outer, in.format, in.precision}, works);
  };
  const std::int64_t cached = shape.kv_lora_rank + shape.qk_rope_head_dim;
  const std::int64_t query = in.heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim);
  if (shape.q_lora_rank == 0) {
    gemm(in.hidden, query + cached);
  } else {  // both latent projections are one product, as serving engines fuse them
    gemm(in.hidden, shape.q_lora_rank + cached);
    works.push_back(elementwise_work(tokens.tokens, 2 * (shape.q_lora_rank + shape.kv_lora_rank)));
    gemm(shape.q_lora_rank, query);
  }
  if (shape.index_heads != 0) {
    gemm(in.hidden, shape.index_head_dim + shape.index_heads);
    gemm(shape.q_lora_rank, shape.index_heads * shape.index_head_dim);
    add_index_scan(in, tokens.entries, 1, works);
    for (const Phase phase : {Phase::decode, Phase::prefill}) {
      add_absorbed(in, phase, chosen_work(tokens.entries, phase, shape.index_topk), works);
    }
  } else {
    add_absorbed(in, Phase::decode, phase_work(tokens.entries, Phase::decode, shape), works);
    add_expanded(in, phase_work(tokens.entries, Phase::prefill, shape), works);
  }
  gemm(in.heads * shape.v_head_dim, in.hidden);
}

}  // namespace moesim
