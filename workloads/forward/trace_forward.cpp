// Texts in, routing trace out: checks, the header, and texts cut into requests.
#include "workloads/forward/trace_forward.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "sim/core/error.h"
#include "workloads/forward/model_path.h"
#include "workloads/forward/trace_run.h"

namespace moesim {
namespace {

void check_request(const TraceRequest& request) {
  const auto at_least = [](const char* name, int value, int low) {
    if (value < low)
      throw InputError(fmt::format("{} is {}; it must be {} or more", name, value, low));
  };
  at_least("chunk_tokens", request.chunk_tokens, 1);
  at_least("tokens_per_domain", request.tokens_per_domain, 0);
  at_least("prefill_chunk_tokens", request.prefill_chunk_tokens, 0);
  at_least("batch", request.batch, 1);
  at_least("generate_tokens", request.generate_tokens, 0);
  if (request.decode_tokens < 0 || request.decode_tokens >= request.chunk_tokens)
    throw InputError(fmt::format("decode_tokens is {}; it must be 0 to {} (chunk_tokens - 1)",
                                 request.decode_tokens, request.chunk_tokens - 1));
  check_sampling(request.sampling);
}

// Indices, among the model's MoE layers, of those to record; their ids go into the header.
std::vector<std::size_t> recorded_layers(const ForwardModel& model,
                                         const TraceRequest& request,
                                         TraceHeader& header) {
  const std::vector<int> ids = model.moe_layer_ids();
  const int end = request.end_layer < 0 ? std::numeric_limits<int>::max() : request.end_layer;
  std::vector<std::size_t> layers;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < request.first_layer || ids[i] >= end) continue;
    layers.push_back(i);
    header.layer_ids.push_back(ids[i]);
  }
  if (ids.empty()) throw InputError(header.model + ": none of the layers run has a router");
  if (layers.empty())
    throw InputError(
        fmt::format("{}: no MoE layer from layer {} on; of the layers run these have routers: {}",
                    header.model, request.first_layer, fmt::join(ids, ", ")));
  return layers;
}

std::vector<std::string> domain_names(const std::vector<DomainRequests>& texts) {
  std::set<std::string> domains;
  for (const DomainRequests& text : texts) domains.insert(text.domain);
  if (domains.size() > std::numeric_limits<std::uint8_t>::max())
    throw InputError(fmt::format("{} domains; a trace holds at most 255", domains.size()));
  return {domains.begin(), domains.end()};
}

std::vector<WaitingRequest> cut_texts(const std::vector<DomainRequests>& texts,
                                      const std::vector<std::string>& domains,
                                      const TraceRequest& request) {
  std::vector<WaitingRequest> waiting;
  for (const DomainRequests& text : texts) {
    const auto domain = static_cast<std::uint8_t>(
        std::lower_bound(domains.begin(), domains.end(), text.domain) - domains.begin());
    std::size_t left = request.tokens_per_domain > 0
                           ? static_cast<std::size_t>(request.tokens_per_domain)
                           : std::numeric_limits<std::size_t>::max();
    for (const std::vector<std::int32_t>& tokens : text.requests) {
      std::span<const std::int32_t> rest(tokens);
      rest = rest.first(std::min(rest.size(), left));
      left -= rest.size();
      while (!rest.empty()) {
        const std::size_t size =
            std::min(rest.size(), static_cast<std::size_t>(request.chunk_tokens));
        waiting.push_back({domain, rest.first(size)});
        rest = rest.subspan(size);
      }
    }
  }
  return waiting;
}

}  // namespace

LoadOptions load_options(const TraceRequest& request) {
  LoadOptions options;
  if (request.generate_tokens == 0) options.end_layer = request.end_layer;
  return options;
}

ForwardTrace trace_forward(const ForwardModel& model,
                           const std::string& name,
                           const std::vector<DomainRequests>& texts,
                           const TraceRequest& request,
                           const TraceProgress& progress) {
  check_request(request);
  if (model.has_encoder() && request.prefill_chunk_tokens > 0)
    throw InputError(
        fmt::format("prefill_chunk_tokens is {}, but the encoder of {} reads a request at once",
                    request.prefill_chunk_tokens, name));
  TraceColumns columns;
  columns.header.model = name;
  columns.header.experts = model.experts();
  columns.header.top_k = model.top_k();
  columns.header.origin = "forward";
  columns.header.domains = domain_names(texts);
  const std::vector<std::size_t> layers = recorded_layers(model, request, columns.header);
  if (request.generate_tokens > 0 && !request.sampling.greedy)
    columns.header.seed = request.sampling.seed;
  BalanceLosses losses(layers.size(), static_cast<std::size_t>(model.experts()),
                       static_cast<std::size_t>(model.top_k()));
  TraceRun(model, request, layers, columns, losses)
      .run(cut_texts(texts, columns.header.domains, request), progress);
  return {make_trace(std::move(columns)), std::move(losses)};
}

ForwardTrace trace_forward(const std::string& model_folder,
                           const std::vector<DomainRequests>& texts,
                           const TraceRequest& request) {
  check_request(request);
  const ForwardModel model(model_folder, load_options(request));
  return trace_forward(model, model_label(model_folder), texts, request);
}

}  // namespace moesim
