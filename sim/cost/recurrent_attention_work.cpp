// Gated delta rule (arXiv 2412.06464, equation 10) and Mamba-2 (arXiv 2405.21060, section 6): a
// head keeps a state of key x value elements. A token decays it, adds an outer product and reads
// it; the delta rule first reads what the state holds for the key.
#include <algorithm>

#include "sim/cost/attention_parts.h"
#include "sim/cost/quantised_product.h"

namespace moesim {
namespace {

struct StateWork {
  double tokens = 0;
  double passes = 0;  // times a state is read and written: once a decode token or chunk of prefill
  double pairs = 0;   // of tokens within a chunk, which prefill multiplies out
};

StateWork state_work(std::span<const BatchEntry> entries, std::int64_t chunk) {
  StateWork work;
  for (const BatchEntry& entry : entries) {
    const std::int64_t tokens = entry.new_tokens;
    work.tokens += static_cast<double>(tokens);
    work.passes +=
        static_cast<double>(entry.phase == Phase::prefill ? (tokens + chunk - 1) / chunk : tokens);
    if (entry.phase == Phase::prefill) {
      work.pairs += static_cast<double>(tokens * std::min(tokens, chunk));
    }
  }
  return work;
}

// decay 1, outer product 2, read 2 operations an element; the delta rule's read by key 2 more and,
// within a chunk, the products of keys with each other beside those of queries and keys.
KernelWork scan_work(const AttentionInputs& in, const StateWork& work) {
  const AttentionShape& shape = in.shape;
  const bool delta = shape.kind == AttentionKind::linear;
  const auto heads = static_cast<double>(in.heads), key = static_cast<double>(shape.head_dim),
             value = static_cast<double>(shape.v_head_dim);
  const double per_token = (delta ? 7 : 5) * key * value;
  const double per_pair = (delta ? 2 : 1) * 2 * (key + value);
  const double state = heads * key * value * static_cast<double>(shape.state_element_bytes);
  const double io = 2 * static_cast<double>(in.kv_heads) * key + 2 * heads * value;
  return {"state_scan", Flops(heads * (work.tokens * per_token + work.pairs * per_pair)),
          Bytes(2 * work.passes * state + 2 * work.tokens * io), "bf16"};
}

}  // namespace

void add_recurrent(const AttentionInputs& in,
                   const AttentionTokens& tokens,
                   std::vector<KernelWork>& works) {
  const AttentionShape& shape = in.shape;
  const std::int64_t value = in.heads * shape.v_head_dim,
                     channels = 2 * in.kv_heads * shape.head_dim + value;
  const std::int64_t per_head = (shape.kind == AttentionKind::mamba ? 1 : 2) * in.heads;
  add_product(tokens.tokens, {in.hidden, channels + value + per_head, in.format, in.precision},
              works);
  works.push_back(elementwise_work(tokens.tokens, 2 * channels));  // convolution and SiLU
  works.push_back(scan_work(in, state_work(tokens.entries, shape.scan_chunk)));
  works.push_back(elementwise_work(tokens.tokens, 3 * value));  // norm and gate
  add_product(tokens.tokens, {value, in.hidden, in.format, in.precision}, works);
}

}  // namespace moesim
