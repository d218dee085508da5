// Random weights, random tokens, one pass.
#include "workloads/forward/random_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "sim/core/error.h"
#include "sim/core/random.h"
#include "workloads/forward/forward.h"

namespace moesim {
namespace {

ForwardModel load(const std::string& path, int first, int end, std::uint64_t seed) {
  return ForwardModel(path, {.first_layer = first, .end_layer = end, .random_seed = seed});
}

// The first layer of the pair to run. Published models begin with at most three dense layers, and
// their patterns repeat after few.
int choose_pair(const std::string& path, std::uint64_t seed) {
  int routed = 0;
  for (const int first : {2, 0, 1, 3, 4, 5}) {
    std::size_t routers = 0;
    try {
      routers = load(path, first, first + 2, seed).moe_layer_ids().size();
    } catch (const InputError&) {
      if (first == 0) throw;  // not for the range, if the model has two layers
    }
    if (routers == 1) return first;
    if (routers == 2 && first == 2) routed = first;
  }
  return routed;
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
  const bool choose = request.end_layer < 0;
  RandomRun run;
  run.first_layer = choose ? choose_pair(path, request.seed) : request.first_layer;
  run.end_layer = choose ? run.first_layer + 2 : request.end_layer;
  const ForwardModel model = load(path, run.first_layer, run.end_layer, request.seed);
  Random random = Random::named(request.seed, "tokens");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(request.tokens));
  for (std::int32_t& token : tokens)
    token = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(model.vocabulary())));
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
