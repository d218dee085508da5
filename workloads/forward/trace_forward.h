// From texts to a routing trace: requests run through a model in batches, in chunks and token by
// token, and every row says where its token went.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/trace/routing_trace.h"
#include "workloads/forward/forward.h"
#include "workloads/forward/sampling.h"
#include "workloads/routers/balance_losses.h"
#include "workloads/tokens/token_source.h"

namespace moesim {

struct TraceRequest {
  int tokens_per_domain = 0;     // of each domain's texts; 0 = all
  int chunk_tokens = 256;        // a text longer than this is cut into requests of so many tokens
  int prefill_chunk_tokens = 0;  // a prompt is prefilled in pieces of so many tokens; 0 = at once
  // Requests that run together. Continuous batching: every pass takes one prefill piece or one
  // decoded token of each, and a request that is done makes room for the next one at once, so that
  // some prefill while others decode.
  int batch = 1;
  int decode_tokens = 0;    // the last tokens of each request are fed one by one (phase decode)
  int generate_tokens = 0;  // then so many are generated and fed back (phase decode)
  Sampling sampling = {};   // of generated tokens; each request draws from a generator of its own
  // Only MoE layers among transformer layers first .. end are recorded (end -1 = all).
  int first_layer = 0, end_layer = -1;
  int threads = 0;  // 0 = all cores; the trace is the same
};

// Layers behind the last recorded one need not be loaded, unless tokens are generated.
LoadOptions load_options(const TraceRequest& request);

struct ForwardTrace {
  RoutingTrace trace;    // origin "forward"
  BalanceLosses losses;  // of the recorded layers and tokens
};

// Called after each pass with the rows traced so far and how many there will be.
using TraceProgress = std::function<void(std::int64_t done, std::int64_t of)>;

// Runs the model over the texts and records every token that is fed to it. Requests are numbered in
// the order of texts and chunks, whatever the batch, and rows stand by request, then position. Of a
// request:
//   position  counts its tokens from 0
//   phase     prefill, or decode for tokens fed one by one (the last decode_tokens of a chunk, of
//             which at least one token is prefilled, and generated ones)
//   step      counts its passes from 0: all tokens of a prefill piece have one step, every decoded
//             token its own
// Domain ids follow the sorted names. kNotRouted stands for dropped tokens, for fewer than top_k
// experts and for zero-computation experts. Weights are halves, to nearest; a weight beyond 65504
// is 65504.
// Encoder-decoder models: the encoder reads a request's prompt at once; these rows are prefill and
// only the encoder's layers are routed. The decoder then starts with decoder_start() and goes on
// with decode_tokens and generate_tokens: rows of phase decode, positions going on from the
// encoder's, where only the decoder's layers are routed.
// Logits and blocks are not kept; without generation a pass ends at the last recorded router, and
// the experts behind it are not run. The routing of a token depends on batch and chunk only in the
// last bits of its sums (products over few and many rows add in different orders).
// `name` becomes header.model. InputError: values out of range, layers without a router,
// prefill_chunk_tokens in an encoder-decoder model.
ForwardTrace trace_forward(const ForwardModel& model,
                           const std::string& name,
                           const std::vector<DomainRequests>& texts,
                           const TraceRequest& request,
                           const TraceProgress& progress = {});

// The same of a model folder, under model_label's name.
ForwardTrace trace_forward(const std::string& model_folder,
                           const std::vector<DomainRequests>& texts,
                           const TraceRequest& request);

}  // namespace moesim
