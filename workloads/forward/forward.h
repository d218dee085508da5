// The reference forward pass: a real decoder-only MoE transformer on the CPU, float32, that records
// where every token was routed. Reads Hugging Face checkpoints (config.json + safetensors).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"

namespace moesim {

// What one MoE layer decided for the tokens of a call, row-major.
struct LayerRouting {
  int layer = 0;                     // transformer layer; an encoder's come first
  std::vector<float> router_logits;  // [tokens][experts (and zero-computation experts)]
  // [tokens][top_k], by falling weight. Ids from experts() on are zero-computation experts;
  // kNotRouted: no expert (dropped, fewer than top_k).
  std::vector<std::uint16_t> experts;
  std::vector<float> weights;        // [tokens][top_k]
  std::vector<float> input, output;  // [tokens][hidden] of the MoE block; only when asked for
};

struct ForwardOutput {
  std::vector<float> logits;  // [tokens][vocabulary], or [requests][vocabulary]: see options
  std::vector<LayerRouting> routing;  // by MoE layer
};

enum class KeepLogits { none, last, all };  // of each request's last token, of all tokens
struct ForwardOptions {
  int threads = 0;  // 0 = all cores; results are bit-identical over thread counts
  // Without logits and blocks a call stops at its last router: that layer's experts and what comes
  // behind them are not run.
  KeepLogits logits = KeepLogits::none;
  bool keep_blocks = false;  // MoE block inputs and outputs
};

struct LoadOptions {
  // Only layers first .. end are built (end -1 = all). A first other than 0 makes sense with random
  // weights only: hidden states enter there straight from the embedding.
  int first_layer = 0, end_layer = -1;
  // No weights are read: every tensor is drawn from this seed, in BF16, and takes no memory of its
  // own. The path may then be a config.json alone.
  std::optional<std::uint64_t> random_seed;
};

// A loaded model. Weights stay mapped in their stored format and are expanded when used.
class ForwardModel {
 public:
  // Folder with config.json and model.safetensors (or shards with model.safetensors.index.json).
  // InputError for a config value that is not implemented, a missing or misshapen tensor, NaN or
  // infinite weights.
  explicit ForwardModel(const std::string& folder, const LoadOptions& options = {});
  ~ForwardModel();
  ForwardModel(ForwardModel&&) noexcept;

  int experts() const;
  int top_k() const;
  int vocabulary() const;
  std::vector<int> moe_layer_ids() const;
  bool has_encoder() const;            // encoder-decoder: see encode()
  std::int32_t decoder_start() const;  // the token a decoder begins with; encoder-decoders only

  // One request's state (keys and values, recurrent states, the encoder's output), grown by calls.
  class Cache;
  std::shared_ptr<Cache> new_cache() const;

  // New tokens of some requests, each with its own cache; rows of the output are in this order.
  struct Request {
    std::span<const std::int32_t> tokens;
    Cache* cache = nullptr;
  };
  // Runs them through the model (its decoder) after what the caches hold: prefill, chunks of a
  // prefill and decode alike, in any mix. Ids outside the vocabulary: InputError.
  ForwardOutput run(std::span<const Request> requests, const ForwardOptions& options) const;
  ForwardOutput run(std::span<const std::int32_t> tokens,
                    Cache& cache,
                    const ForwardOptions& options) const;

  // Encoder-decoder models: runs the encoder over whole inputs, once a request, before run(). The
  // output holds all MoE layers; the decoder's are empty (as the encoder's are after run()).
  ForwardOutput encode(std::span<const Request> requests, const ForwardOptions& options) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moesim
