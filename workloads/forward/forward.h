// The reference forward pass: a real decoder-only MoE transformer on the CPU, float32, that records
// where every token was routed. Reads Hugging Face checkpoints (config.json + safetensors).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

// What one MoE layer decided for the tokens of a call, row-major.
struct LayerRouting {
  int layer = 0;                       // transformer layer
  std::vector<float> router_logits;    // [tokens][experts]
  std::vector<std::uint16_t> experts;  // [tokens][top_k], by falling weight
  std::vector<float> weights;          // [tokens][top_k]
  std::vector<float> input, output;    // [tokens][hidden] of the MoE block; only when asked for
};

struct ForwardOutput {
  std::vector<float> logits;          // [tokens][vocabulary]; empty unless asked for
  std::vector<LayerRouting> routing;  // by MoE layer
};

struct ForwardOptions {
  int threads = 0;  // 0 = all cores; results are bit-identical over thread counts
  bool keep_logits = false;
  bool keep_blocks = false;  // MoE block inputs and outputs
};

// A loaded model. Weights stay mapped in their stored format and are expanded when used.
class ForwardModel {
 public:
  // Folder with config.json and model.safetensors (or shards with model.safetensors.index.json).
  // InputError for a config value that is not implemented, a missing or misshapen tensor, NaN or
  // infinite weights.
  explicit ForwardModel(const std::string& folder);
  ~ForwardModel();
  ForwardModel(ForwardModel&&) noexcept;

  int experts() const;
  int top_k() const;
  int vocabulary() const;
  std::vector<int> moe_layer_ids() const;

  // One request's key/value state, grown by each call.
  class Cache;
  std::shared_ptr<Cache> new_cache() const;

  // Runs the new tokens of one request through the model after what the cache holds (prefill and
  // decode alike). Ids outside the vocabulary: InputError.
  ForwardOutput run(std::span<const std::int32_t> tokens,
                    Cache& cache,
                    const ForwardOptions& options) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A text of one domain, as token ids.
struct DomainText {
  std::string domain;
  std::vector<std::int32_t> tokens;
};
// <folder>/<domain>.txt, sorted by name, or one file. Byte-level: ids are the bytes, vocabulary
// must be 256.
std::vector<DomainText> read_texts(const std::string& path, int vocabulary);

struct TraceRequest {
  int tokens_per_domain = 0;  // 0 = all
  int chunk_tokens = 256;     // each request is one chunk, prefilled at once
  int decode_tokens = 0;  // the last tokens of each chunk run one by one with the KV cache (phase
                          // decode); same routing
  int threads = 0;
};
// Runs the model over the texts, chunk by chunk, and returns the trace (origin "forward"). Requests
// are numbered in the order of texts and chunks, domain ids follow the sorted names, position
// counts from the chunk's start; step is 0 for prefilled tokens and 1, 2, ... for the decoded ones
// after them (a last chunk shorter than decode_tokens prefills one token). header.model is the
// folder's name, or its parent's where the folder is called "model". Texts of one name are one
// domain, and tokens_per_domain holds for each text.
RoutingTrace trace_forward(const std::string& model_folder,
                           const std::vector<DomainText>& texts,
                           const TraceRequest& request);

}  // namespace moesim
