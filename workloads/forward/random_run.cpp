// Random weights, random tokens, one pass.
#include "workloads/forward/random_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "sim/core/error.h"
#include "sim/core/random.h"
#include "workloads/forward/forward.h"

namespace moesim {
namespace {

struct Loaded {
  int first = 0, end = 0;
  std::unique_ptr<ForwardModel> model;
};

Loaded load(const std::string& path, int first, int end, std::uint64_t seed) {
  const LoadOptions options{.first_layer = first, .end_layer = end, .random_seed = seed};
  return {first, end, std::make_unique<ForwardModel>(path, options)};
}

// Published models begin with at most three dense layers, and their patterns repeat after few.
Loaded load_mixed_pair(const std::string& path, std::uint64_t seed) {
  Loaded routed;
  for (const int first : {2, 0, 1, 3, 4, 5}) {
    Loaded pair;
    try {
      pair = load(path, first, first + 2, seed);
    } catch (const InputError&) {
      if (first == 0) throw;  // not for the range, if the model has two layers
      continue;
    }
    const std::size_t routers = pair.model->moe_layer_ids().size();
    if (routers == 1) return pair;
    if (routers == 2 && routed.model == nullptr) routed = std::move(pair);
  }
  return routed.model == nullptr ? load(path, 0, 2, seed) : std::move(routed);
}

RandomLayerLoad load_of(const LayerRouting& routing, int experts) {
  RandomLayerLoad load;
  load.layer = routing.layer;
  std::vector<std::int64_t> copies(static_cast<std::size_t>(experts));
  for (const std::uint16_t expert : routing.experts)
    if (expert < experts) ++copies[expert];
  load.token_copies = std::accumulate(copies.begin(), copies.end(), std::int64_t{0});
  load.experts_used =
      experts - static_cast<std::int64_t>(std::count(copies.begin(), copies.end(), 0));
  if (load.token_copies > 0)
    load.max_over_mean = static_cast<double>(*std::max_element(copies.begin(), copies.end())) *
                         experts / static_cast<double>(load.token_copies);
  return load;
}

void add_loads(const ForwardOutput& output, int experts, std::vector<RandomLayerLoad>& loads) {
  for (const LayerRouting& routing : output.routing)
    if (!routing.experts.empty()) loads.push_back(load_of(routing, experts));
}

}  // namespace

RandomRun run_random(const std::string& path, const RandomRunRequest& request) {
  if (request.tokens < 1)
    throw InputError(fmt::format("tokens is {}; it must be 1 or more", request.tokens));
  const Loaded loaded = request.end_layer < 0
                            ? load_mixed_pair(path, request.seed)
                            : load(path, request.first_layer, request.end_layer, request.seed);
  const ForwardModel& model = *loaded.model;
  Random random = Random::named(request.seed, "tokens");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(request.tokens));
  for (std::int32_t& token : tokens)
    token = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(model.vocabulary())));
  RandomRun run;
  run.first_layer = loaded.first;
  run.end_layer = loaded.end;
  run.experts = model.experts();
  run.top_k = model.top_k();
  const auto cache = model.new_cache();
  const auto start = std::chrono::steady_clock::now();
  if (model.has_encoder()) {
    const ForwardModel::Request encoded{tokens, cache.get()};
    add_loads(model.encode({&encoded, 1}, {.threads = request.threads}), run.experts, run.layers);
    tokens = {model.decoder_start()};
  }
  const ForwardOutput output =
      model.run(tokens, *cache, {.threads = request.threads, .logits = KeepLogits::last});
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  add_loads(output, run.experts, run.layers);
  run.finite = std::all_of(output.logits.begin(), output.logits.end(),
                           [](float logit) { return std::isfinite(logit); });
  return run;
}

}  // namespace moesim
