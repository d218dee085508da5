// Work of one attention layer. Latent attention follows the DeepSeek-V2 paper (arXiv 2405.04434),
// section 2.1: in decode the up-projections are absorbed into query and output.
#include "sim/cost/kernel_work.h"

namespace moesim {
namespace {

struct PhaseWork {  // sums over the entries of one phase
  std::int64_t tokens = 0;
  double pairs = 0, attended = 0;
};

PhaseWork phase_work(std::span<const BatchEntry> entries, Phase phase, std::int64_t window) {
  PhaseWork sum;
  for (const BatchEntry& entry : entries) {
    if (entry.phase != phase) continue;
    sum.tokens += entry.new_tokens;
    sum.pairs += attention_pairs(entry, window);
    sum.attended += attended_tokens(window, entry.context, entry.new_tokens);
  }
  return sum;
}

// The attention kernel: `query_key` and `value` are elements of one head's dot products,
// cache_bytes what it reads of one cached token, io_values what one new token reads and writes
// beside that.
struct CoreShape {
  const char* kernel;
  double heads, query_key, value, cache_bytes, io_values;
};

KernelWork core_work(const PhaseWork& phase, const CoreShape& core) {
  const double flops = 2 * core.heads * phase.pairs * (core.query_key + core.value);
  const double bytes =
      phase.attended * core.cache_bytes + 2.0 * static_cast<double>(phase.tokens) * core.io_values;
  return {core.kernel, Flops(flops), Bytes(bytes), "bf16"};
}

void add_grouped_query(const AttentionInputs& in,
                       std::span<const BatchEntry> entries,
                       std::int64_t tokens,
                       std::vector<KernelWork>& works) {
  const std::int64_t head_dim = in.shape.head_dim;
  const auto gemm = [&](std::int64_t inner, std::int64_t outer) {
    works.push_back(gemm_work(tokens, {inner, outer, in.format, in.precision}));
  };
  gemm(in.hidden, (in.heads + 2 * in.kv_heads) * head_dim);
  const auto heads = static_cast<double>(in.heads), dim = static_cast<double>(head_dim),
             cached = 2.0 * static_cast<double>(in.kv_heads) * dim;
  for (const Phase phase : {Phase::decode, Phase::prefill}) {
    const PhaseWork work = phase_work(entries, phase, in.shape.sliding_window);
    if (work.tokens == 0) continue;
    const char* kernel = phase == Phase::decode ? "attention_decode_gqa" : "attention_prefill";
    works.push_back(
        core_work(work, {kernel, heads, dim, dim, cached * in.kv_bytes, 2 * heads * dim + cached}));
  }
  gemm(in.heads * head_dim, in.hidden);
}

void add_latent_decode(const AttentionInputs& in,
                       std::span<const BatchEntry> entries,
                       std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const PhaseWork work = phase_work(entries, Phase::decode, 0);
  if (work.tokens == 0) return;
  const auto heads = static_cast<double>(in.heads),
             latent = static_cast<double>(shape.kv_lora_rank),
             cached = latent + static_cast<double>(shape.qk_rope_head_dim);
  works.push_back(gemm_work(work.tokens,
                            {shape.qk_nope_head_dim, shape.kv_lora_rank, in.format, in.precision},
                            in.heads));
  works.push_back(core_work(work, {"attention_decode_mla", heads, cached, latent,
                                   cached * in.kv_bytes, heads * (cached + latent) + cached}));
  works.push_back(gemm_work(
      work.tokens, {shape.kv_lora_rank, shape.v_head_dim, in.format, in.precision}, in.heads));
}

void add_latent_prefill(const AttentionInputs& in,
                        std::span<const BatchEntry> entries,
                        std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const PhaseWork work = phase_work(entries, Phase::prefill, 0);
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

void add_latent(const AttentionInputs& in,
                std::span<const BatchEntry> entries,
                std::int64_t tokens,
                std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const auto gemm = [&](std::int64_t inner, std::int64_t outer) {
    works.push_back(gemm_work(tokens, {inner, outer, in.format, in.precision}));
  };
  const std::int64_t cached = shape.kv_lora_rank + shape.qk_rope_head_dim;
  const std::int64_t query = in.heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim);
  if (shape.q_lora_rank == 0) {
    gemm(in.hidden, query + cached);
  } else {  // both latent projections are one product, as serving engines fuse them
    gemm(in.hidden, shape.q_lora_rank + cached);
    works.push_back(elementwise_work(tokens, 2 * (shape.q_lora_rank + shape.kv_lora_rank)));
    gemm(shape.q_lora_rank, query);
  }
  add_latent_decode(in, entries, works);
  add_latent_prefill(in, entries, works);
  gemm(in.heads * shape.v_head_dim, in.hidden);
}

}  // namespace

std::vector<KernelWork> attention_work(const AttentionInputs& inputs,
                                       std::span<const BatchEntry> entries) {
  std::int64_t tokens = 0;
  for (const BatchEntry& entry : entries) tokens += entry.new_tokens;
  std::vector<KernelWork> works;
  if (tokens == 0) return works;
  // Residual add and norm in one pass: both read, both written.
  works.push_back(elementwise_work(tokens, 4 * inputs.hidden));
  if (inputs.shape.kind == AttentionKind::latent) {
    add_latent(inputs, entries, tokens, works);
  } else {
    add_grouped_query(inputs, entries, tokens, works);
  }
  return works;
}

}  // namespace moesim
