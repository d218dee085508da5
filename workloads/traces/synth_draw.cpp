// A choice is an exponential race: draws with replacement from an alias table, of which only the
// first of each expert counts.
#include "workloads/traces/synth_draw.h"

namespace moesim {
namespace {

bool holds(std::span<const std::uint16_t> values, std::uint16_t value) {
  bool found = false;
  for (const std::uint16_t other : values) found |= other == value;
  return found;
}

// One cell that is allowed and not yet taken, by its weight.
template <class Allowed>
std::uint16_t draw_left(std::span<const float> weights,
                        std::span<const std::uint16_t> taken,
                        Allowed allowed,
                        HalfWords& random) {
  constexpr double kNearlyNone = 1e-12;  // cells without weight, when only they are left
  const auto weight = [&](std::size_t i) {
    const auto id = static_cast<std::uint16_t>(i);
    return allowed(id) && !holds(taken, id) ? static_cast<double>(weights[i]) + kNearlyNone : 0.0;
  };
  double left = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) left += weight(i);
  double point = random.bits() * 0x1.0p-32 * left;
  std::size_t last = 0;
  for (std::size_t i = 0; i < weights.size() && point >= 0; ++i) {
    const double here = weight(i);
    if (here <= 0) continue;
    last = i;
    point -= here;
  }
  return static_cast<std::uint16_t>(last);
}

// Fills `into` with distinct cells; its first `taken` are there already. After many tries (few
// cells carry nearly all the weight) what is left is drawn by its weights.
template <class Allowed>
void draw_distinct(std::span<const std::uint32_t> cells,
                   std::span<const float> weights,
                   std::pair<std::span<std::uint16_t>, std::size_t> into_and_taken,
                   Allowed allowed,
                   HalfWords& random) {
  auto [into, taken] = into_and_taken;
  std::size_t tries = 64 + 8 * into.size();
  for (; taken < into.size() && tries > 0; --tries) {
    const auto drawn = static_cast<std::uint16_t>(AliasTable::draw(cells, random.bits()));
    if (allowed(drawn) && !holds(into.first(taken), drawn)) into[taken++] = drawn;
  }
  for (; taken < into.size(); ++taken)
    into[taken] = draw_left(weights, into.first(taken), allowed, random);
}

}  // namespace

RequestDrawer::RequestDrawer(const SynthShape& shape,
                             const std::vector<LayerTables>& layers,
                             std::size_t domain,
                             Random random)
    : shape_(shape),
      layers_(layers),
      domain_(domain),
      random_(random),
      class_(layers.size(), 0),
      previous_(layers.size(), kNotRouted),
      kept_(static_cast<std::size_t>(shape.kept_groups)) {}

void RequestDrawer::draw_token(Phase phase, std::span<std::uint16_t> choices) {
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

// All layers look at the same number: those that keep their class equally long renew it together,
// and so stay as alike as they are.
void RequestDrawer::renew_class(std::size_t layer, std::uint32_t renewal) {
  const SynthLayer& values = layers_[layer].values;
  const bool first_token = previous_[layer] == kNotRouted;
  if (!first_token && renewal < values.next_token_keep * 0x1.0p32) return;
  if (layer > 0 && random_.happens(values.next_layer_keep)) {
    class_[layer] = class_[layer - 1];
  } else {
    class_[layer] = random_.below(static_cast<std::uint32_t>(layers_[layer].classes));
  }
}

DrawTable RequestDrawer::table_of(const LayerTables& tables, std::size_t number) const {
  const auto experts = static_cast<std::size_t>(shape_.experts);
  const auto groups = shape_.groups > 1 ? static_cast<std::size_t>(shape_.groups) : 0;
  return {std::span(tables.cells).subspan(number * experts, experts),
          std::span(tables.group_cells).subspan(number * groups, groups),
          std::span(tables.weights).subspan(number * experts, experts),
          std::span(tables.group_weights).subspan(number * groups, groups)};
}

// An expert that is taken over from the token before keeps its group.
void RequestDrawer::draw_choice(const DrawTable& table,
                                double repeat_first,
                                std::uint16_t previous,
                                std::span<std::uint16_t> choice) {
  const auto any = [](std::uint16_t) { return true; };
  std::size_t taken = 0;
  if (previous != kNotRouted && repeat_first > 0 && random_.happens(repeat_first))
    choice[taken++] = previous;
  if (shape_.groups == 1) {
    draw_distinct(table.cells, table.weights, {choice, taken}, any, random_);
    return;
  }
  const int in_group = shape_.experts / shape_.groups;
  if (taken == 1) kept_[0] = static_cast<std::uint16_t>(choice[0] / in_group);
  draw_distinct(table.group_cells, table.group_weights, {kept_, taken}, any, random_);
  std::uint64_t mask = 0;
  for (const std::uint16_t group : kept_) mask |= std::uint64_t{1} << group;
  const auto in_kept = [mask, in_group](std::uint16_t expert) {
    return ((mask >> (expert / in_group)) & 1U) != 0;
  };
  draw_distinct(table.cells, table.weights, {choice, taken}, in_kept, random_);
}

}  // namespace moesim
