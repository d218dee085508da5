// Draws a trace: requests first, then every request by itself from a generator of its own, so that
// the number of threads does not matter.
#include "workloads/traces/synth.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>
#include <thread>

#include "sim/core/error.h"
#include "workloads/traces/synth_draw.h"
#include "workloads/traces/synth_requests.h"
#include "workloads/traces/synth_tables.h"

namespace moesim {
namespace {

// Runs work(0) ... work(count - 1) on some threads, each item on whichever is free.
void share_out(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t item = next++; item < count; item = next++) work(item);
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(run);
  run();
  for (std::thread& thread : pool) thread.join();
}

void check_shape(const SynthShape& shape) {
  const auto refuse = [](const std::string& message) {
    throw InputError("synthetic trace: " + message);
  };
  if (shape.experts < 1 || shape.experts > 512)
    refuse(fmt::format("experts is {}, allowed: 1 to 512", shape.experts));
  if (shape.moe_layers < 1 || shape.moe_layers > 96)
    refuse(fmt::format("MoE layers is {}, allowed: 1 to 96", shape.moe_layers));
  if (shape.groups < 1 || shape.groups > 64 || shape.experts % shape.groups != 0)
    refuse(fmt::format("groups is {}, allowed: 1 to 64 that divide the {} experts", shape.groups,
                       shape.experts));
  if (shape.kept_groups < 1 || shape.kept_groups > shape.groups)
    refuse(fmt::format("kept groups is {}, allowed: 1 to {} (the groups)", shape.kept_groups,
                       shape.groups));
  const int reachable = shape.experts / shape.groups * shape.kept_groups;
  if (shape.top_k < 1 || shape.top_k > reachable)
    refuse(fmt::format("top_k is {}, allowed: 1 to {} (the experts of the kept groups)",
                       shape.top_k, reachable));
}

// A shape of another size than the profile's has no groups unless it names them.
SynthShape shape_of(const SynthProfile& profile, const SynthRequest& request) {
  const auto or_else = [](int value, int fallback) { return value != 0 ? value : fallback; };
  SynthShape shape;
  shape.experts = or_else(request.experts, profile.experts);
  shape.top_k = or_else(request.top_k, profile.top_k);
  shape.moe_layers = or_else(request.moe_layers, profile.moe_layers);
  const bool as_measured = shape.experts == profile.experts && shape.top_k == profile.top_k;
  shape.groups = or_else(request.groups, as_measured ? profile.groups : 1);
  shape.kept_groups = or_else(
      request.kept_groups, as_measured && request.groups == 0 ? profile.kept_groups : shape.groups);
  check_shape(shape);
  if (shape.kept_groups == shape.groups) shape.kept_groups = shape.groups = 1;  // no limit
  return shape;
}

std::vector<double> token_shares(const RequestPlan& plan, std::int64_t tokens) {
  std::vector<double> shares(plan.domains.size() * 2, 0);
  for (const PlannedRequest& planned : plan.requests) {
    shares[planned.domain * 2] += planned.prompt / static_cast<double>(tokens);
    shares[planned.domain * 2 + 1] += planned.answer / static_cast<double>(tokens);
  }
  return shares;
}

std::vector<std::size_t> curves_of(const SynthProfile& profile,
                                   const std::vector<std::string>& domains) {
  std::vector<std::size_t> curves;
  std::size_t next = 0;
  for (const std::string& domain : domains) {
    const auto known = std::find(profile.domains.begin(), profile.domains.end(), domain);
    curves.push_back(known != profile.domains.end()
                         ? static_cast<std::size_t>(known - profile.domains.begin())
                         : next++ % profile.domains.size());
  }
  return curves;
}

TraceColumns empty_columns(const SynthProfile& profile,
                           const SynthRequest& request,
                           const SynthShape& shape,
                           const RequestPlan& plan) {
  TraceColumns columns;
  columns.header.model = request.model.empty() ? profile.name : request.model;
  columns.header.experts = shape.experts;
  columns.header.top_k = shape.top_k;
  columns.header.origin = "synthetic";
  columns.header.seed = request.seed;
  columns.header.domains = plan.domains;
  columns.header.layer_ids = request.layer_ids;
  if (request.layer_ids.empty()) {
    columns.header.layer_ids.resize(static_cast<std::size_t>(shape.moe_layers));
    std::iota(columns.header.layer_ids.begin(), columns.header.layer_ids.end(), 0);
  } else if (request.layer_ids.size() != static_cast<std::size_t>(shape.moe_layers)) {
    throw InputError(fmt::format("synthetic trace: {} layer ids for {} MoE layers",
                                 request.layer_ids.size(), shape.moe_layers));
  }
  const auto tokens = static_cast<std::size_t>(request.tokens);
  for (auto* column : {&columns.request, &columns.position, &columns.step}) column->resize(tokens);
  columns.domain.resize(tokens);
  columns.phase.resize(tokens);
  columns.experts.resize(tokens * static_cast<std::size_t>(shape.moe_layers) *
                         static_cast<std::size_t>(shape.top_k));
  return columns;
}

}  // namespace

RoutingTrace synthesize(const SynthProfile& profile, const SynthRequest& request) {
  SynthShape shape = shape_of(profile, request);
  const RequestPlan plan = plan_requests(profile, request);
  shape.domains = plan.domains.size();
  shape.decode = plan.decode;
  shape.token_share = token_shares(plan, request.tokens);
  TraceColumns columns = empty_columns(profile, request, shape, plan);

  const std::vector<std::size_t> curve_of = curves_of(profile, plan.domains);
  std::vector<LayerTables> layers(static_cast<std::size_t>(shape.moe_layers));
  share_out(layers.size(), request.threads, [&](std::size_t layer) {
    layers[layer] =
        make_layer_tables(profile, shape, curve_of, static_cast<int>(layer), request.seed);
  });
  const std::size_t per_token = layers.size() * static_cast<std::size_t>(shape.top_k);
  share_out(plan.requests.size(), request.threads, [&](std::size_t number) {
    const PlannedRequest& planned = plan.requests[number];
    RequestDrawer drawer(shape, layers, planned.domain,
                         Random::named(request.seed, fmt::format("request {}", number)));
    for (std::int32_t i = 0; i < planned.prompt + planned.answer; ++i) {
      const std::size_t row = planned.first_row + static_cast<std::size_t>(i);
      const Phase phase = i < planned.prompt ? Phase::prefill : Phase::decode;
      columns.request[row] = static_cast<std::int32_t>(number);
      columns.position[row] = i;
      columns.step[row] = std::max(0, i - planned.prompt + 1);
      columns.domain[row] = static_cast<std::uint8_t>(planned.domain);
      columns.phase[row] = static_cast<std::uint8_t>(phase);
      drawer.draw_token(phase, std::span(columns.experts).subspan(row * per_token, per_token));
    }
  });
  return make_trace(std::move(columns));
}

}  // namespace moesim
