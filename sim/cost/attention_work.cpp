// Work of one layer's attention: its norm, then what its kind does; grouped-query attention itself.
#include "sim/cost/attention_parts.h"
#include "sim/cost/quantised_product.h"

namespace moesim {
namespace {

// A block of chosen tokens is read for every query anew; otherwise queries share what they read.
void add_core(const AttentionInputs& in,
              std::span<const BatchEntry> entries,
              std::vector<KernelWork>& works) {
  const bool sparse = in.shape.index_heads != 0;
  const auto heads = static_cast<double>(in.heads), dim = static_cast<double>(in.shape.head_dim),
             value = static_cast<double>(in.shape.value_dim()),
             cached = static_cast<double>(in.kv_heads) * (dim + value);
  for (const Phase phase : {Phase::decode, Phase::prefill}) {
    const PhaseWork work = sparse ? chosen_work(entries, phase, in.shape.index_topk)
                                  : phase_work(entries, phase, in.shape);
    if (work.tokens == 0) continue;
    const char* dense = phase == Phase::decode ? "attention_decode_gqa" : "attention_prefill";
    works.push_back(core_share(work,
                               {sparse ? sparse_kernel(phase) : dense, heads, dim, value,
                                cached * in.kv_bytes, heads * (dim + value) + cached},
                               phase == Phase::decode ? in.context_ranks : 1));
  }
}

// The decoder of an encoder-decoder: queries of all tokens; keys and values of an encoder's output,
// the prefill tokens, once a request.
void add_cross(const AttentionInputs& in,
               const AttentionTokens& tokens,
               std::vector<KernelWork>& works) {
  std::int64_t prefill = 0;
  for (const BatchEntry& entry : tokens.entries) {
    if (entry.phase == Phase::prefill) prefill += entry.new_tokens;
  }
  const std::int64_t key_value = in.kv_heads * (in.shape.head_dim + in.shape.value_dim());
  const auto gemm = [&](std::int64_t rows, std::int64_t inner, std::int64_t outer) {
    if (rows > 0) add_product(rows, {inner, outer, in.format, in.precision}, works);
  };
  works.push_back(elementwise_work(tokens.tokens, 4 * in.hidden));
  gemm(tokens.tokens, in.hidden, in.heads * in.shape.head_dim);
  gemm(prefill, in.hidden, key_value);
  add_core(in, tokens.entries, works);
  gemm(tokens.tokens, in.heads * in.shape.value_dim(), in.hidden);
}

}  // namespace

void add_grouped_query(const AttentionInputs& in,
                       const AttentionTokens& tokens,
                       std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const std::int64_t query = in.heads * shape.head_dim, value = shape.value_dim();
  const auto gemm = [&](std::int64_t inner, std::int64_t outer) {
    add_product(tokens.tokens, {inner, outer, in.format, in.precision}, works);
  };
  gemm(in.hidden, query * (shape.output_gate ? 2 : 1) + in.kv_heads * (shape.head_dim + value));
  if (shape.index_heads != 0) {
    gemm(in.hidden, (shape.index_heads + 1) * shape.index_head_dim);
    add_index_scan(in, tokens.entries, 1, works);
  }
  add_core(in, tokens.entries, works);
  if (shape.output_gate) works.push_back(elementwise_work(tokens.tokens, 3 * in.heads * value));
  gemm(in.heads * value, in.hidden);
  if (shape.cross) add_cross(in, tokens, works);
}

std::vector<KernelWork> attention_work(const AttentionInputs& inputs,
                                       std::span<const BatchEntry> entries) {
  AttentionTokens tokens{entries};
  for (const BatchEntry& entry : entries) tokens.tokens += entry.new_tokens;
  std::vector<KernelWork> works;
  if (tokens.tokens == 0 || inputs.shape.kind == AttentionKind::none) return works;
  // Residual add and norm in one pass: both read, both written.
  works.push_back(elementwise_work(tokens.tokens, 4 * inputs.hidden));
  switch (inputs.shape.kind) {
    case AttentionKind::none:
      break;
    case AttentionKind::grouped_query:
      add_grouped_query(inputs, tokens, works);
      break;
    case AttentionKind::latent:
      add_latent(inputs, tokens, works);
      break;
    case AttentionKind::compressed:
      add_compressed(inputs, tokens, works);
      break;
    case AttentionKind::linear:
    case AttentionKind::mamba:
      add_recurrent(inputs, tokens, works);
      break;
  }
  return works;
}

}  // namespace moesim
