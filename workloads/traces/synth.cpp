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

struct Table {
  std::span<const std::uint32_t> cells, group_cells;
  std::span<const float> weights, group_weights;
};

// 32 random bits at a time.
class HalfWords {
 public:
  explicit HalfWords(Random random) : random_(random) {}
  std::uint32_t bits() {
    half_ = !half_;
    if (half_) {
      word_ = random_.bits();
      return static_cast<std::uint32_t>(word_ >> 32);
    }
    return static_cast<std::uint32_t>(word_);
  }
  bool happens(double chance) { return bits() < chance * 4294967296.0; }
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((std::uint64_t{bits()} * n) >> 32);
  }

 private:
  Random random_;
  std::uint64_t word_ = 0;
  bool half_ = false;
};

// The routing of one request, token by token.
class RequestDrawer {
 public:
  RequestDrawer(const SynthShape& shape,
                const std::vector<LayerTables>& layers,
                std::size_t domain,
                Random random)
      : shape_(shape),
        layers_(layers),
        domain_(domain),
        random_(random),
        class_(layers.size(), 0),
        previous_(layers.size(), kNotRouted) {}

  // `choices` is [moe_layer][k].
  void draw_token(Phase phase, std::span<std::uint16_t> choices) {
    const auto top_k = static_cast<std::size_t>(shape_.top_k);
    const std::uint32_t renewal = random_.bits();
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      renew_class(layer, renewal);
      const LayerTables& tables = layers_[layer];
      const std::size_t number =
          tables.table(shape_, domain_, static_cast<std::size_t>(phase), class_[layer]);
      const auto choice = choices.subspan(layer * top_k, top_k);
      draw_choice(table_of(tables, number), tables.values.repeat_first, previous_[layer], choice);
      previous_[layer] = choice[0];
    }
  }

 private:
  // All layers look at the same number: those that keep their class equally long renew it together,
  // and so stay as alike as they are.
  void renew_class(std::size_t layer, std::uint32_t renewal) {
    const SynthLayer& values = layers_[layer].values;
    const bool first_token = previous_[layer] == kNotRouted;
    if (!first_token && renewal < values.next_token_keep * 4294967296.0) return;
    if (layer > 0 && random_.happens(values.next_layer_keep)) {
      class_[layer] = class_[layer - 1];
    } else {
      class_[layer] = random_.below(static_cast<std::uint32_t>(layers_[layer].classes));
    }
  }

  Table table_of(const LayerTables& tables, std::size_t number) const {
    const auto experts = static_cast<std::size_t>(shape_.experts);
    const auto groups = shape_.groups > 1 ? static_cast<std::size_t>(shape_.groups) : 0;
    return {std::span(tables.cells).subspan(number * experts, experts),
            std::span(tables.group_cells).subspan(number * groups, groups),
            std::span(tables.weights).subspan(number * experts, experts),
            std::span(tables.group_weights).subspan(number * groups, groups)};
  }

  // Distinct cells, drawn again when drawn twice; `taken` are there already. After many tries (few
  // cells carry all the weight) what is left is drawn by its weights.
  template <class Allowed>
  void draw_distinct(std::span<const std::uint32_t> cells,
                     std::span<const float> weights,
                     std::span<std::uint16_t> into,
                     std::size_t taken,
                     Allowed allowed) {
    int tries = 64 + 8 * static_cast<int>(into.size());
    while (taken < into.size() && tries-- > 0) {
      const auto drawn = static_cast<std::uint16_t>(AliasTable::draw(cells, random_.bits()));
      if (!allowed(drawn) || holds(into.first(taken), drawn)) continue;
      into[taken++] = drawn;
    }
    for (; taken < into.size(); ++taken)
      into[taken] = draw_left(weights, into.first(taken), allowed);
  }

  static bool holds(std::span<const std::uint16_t> values, std::uint16_t value) {
    bool found = false;
    for (const std::uint16_t other : values) found |= other == value;
    return found;
  }

  template <class Allowed>
  std::uint16_t draw_left(std::span<const float> weights,
                          std::span<const std::uint16_t> taken,
                          Allowed allowed) {
    double left = 0;
    const auto weight = [&](std::size_t i) {
      const auto id = static_cast<std::uint16_t>(i);
      return allowed(id) && !holds(taken, id) ? static_cast<double>(weights[i]) + 1e-12 : 0.0;
    };
    for (std::size_t i = 0; i < weights.size(); ++i) left += weight(i);
    double point = random_.bits() * 0x1.0p-32 * left;
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double here = weight(i);
      if (here <= 0) continue;
      last = i;
      point -= here;
      if (point < 0) break;
    }
    return static_cast<std::uint16_t>(last);
  }

  void draw_choice(const Table& table,
                   double repeat_first,
                   std::uint16_t previous,
                   std::span<std::uint16_t> choice) {
    std::size_t taken = 0;
    if (previous != kNotRouted && repeat_first > 0 && random_.happens(repeat_first))
      choice[taken++] = previous;
    if (shape_.groups == 1) {
      draw_distinct(table.cells, table.weights, choice, taken, [](std::uint16_t) { return true; });
      return;
    }
    const int in_group = shape_.experts / shape_.groups;
    kept_.resize(static_cast<std::size_t>(shape_.kept_groups));
    if (taken == 1) kept_[0] = static_cast<std::uint16_t>(choice[0] / in_group);
    draw_distinct(table.group_cells, table.group_weights, kept_, taken,
                  [](std::uint16_t) { return true; });
    std::uint64_t mask = 0;
    for (const std::uint16_t group : kept_) mask |= std::uint64_t{1} << group;
    draw_distinct(table.cells, table.weights, choice, taken,
                  [mask, in_group](std::uint16_t expert) {
                    return ((mask >> (expert / in_group)) & 1U) != 0;
                  });
  }

  const SynthShape& shape_;
  const std::vector<LayerTables>& layers_;
  std::size_t domain_;
  HalfWords random_;
  std::vector<std::size_t> class_;       // by MoE layer
  std::vector<std::uint16_t> previous_;  // first expert of the token before, by MoE layer
  std::vector<std::uint16_t> kept_;
};

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
  if (shape.kept_groups == shape.groups) shape.kept_groups = shape.groups = 1;
  check_shape(shape);
  return shape;
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
