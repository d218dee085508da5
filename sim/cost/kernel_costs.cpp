// KernelCosts: work of each part, timed by roofline on one accelerator.
#include "sim/cost/kernel_costs.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace moesim {
namespace {

std::int64_t share(std::int64_t whole, int ranks) { return (whole + ranks - 1) / ranks; }

}  // namespace

KernelCosts::KernelCosts(const MoeModel& model,
                         const Accelerator& accelerator,
                         const Parallelism& parallelism,
                         const Precision& precision,
                         std::shared_ptr<const KernelTable> table)
    : model_(model),
      timer_(accelerator, std::move(table)),
      parallelism_(parallelism),
      precision_(precision) {
  for (const WeightFormat format : {precision_.experts, precision_.dense, WeightFormat::bf16})
    timer_.check_precision(format);
}

KernelCost KernelCosts::embedding(std::int64_t tokens) const {
  if (tokens == 0) return sum({});
  return sum({elementwise_work(tokens, 2 * model_.hidden)});
}

KernelCost KernelCosts::attention(std::size_t layer, std::span<const BatchEntry> entries) const {
  const AttentionShape& shape = model_.layers.at(layer).attention;
  const AttentionShape local = tensor_share(shape, parallelism_.tensor);
  const AttentionInputs inputs{shape,
                               model_.hidden,
                               local.heads,
                               local.kv_heads,
                               precision_.dense,
                               timer_.compute_precision(precision_.dense),
                               precision_.kv_cache == WeightFormat::fp8 ? 1.0 : 2.0,
                               context_ranks(shape, parallelism_)};
  if (const auto measured = measured_attention(inputs, entries)) return *measured;
  std::vector<KernelWork> works = attention_work(inputs, entries);
  std::int64_t tokens = 0;
  for (const BatchEntry& entry : entries) tokens += entry.new_tokens;
  if (!works.empty()) add_stream_mixing(model_, tokens, works);
  return sum(works);
}

// A table's layer, where all entries are of one phase and prompts have nothing cached.
std::optional<KernelCost> KernelCosts::measured_attention(
    const AttentionInputs& inputs, std::span<const BatchEntry> entries) const {
  if (entries.empty() || model_.residual_streams != 1) return std::nullopt;
  const Phase phase = entries.front().phase;
  if (phase == Phase::decode && inputs.context_ranks > 1) return std::nullopt;
  double tokens = 0;
  for (const BatchEntry& entry : entries) {
    const bool told = phase == Phase::decode ? entry.new_tokens == 1 : entry.context == 0;
    if (entry.phase != phase || !told) return std::nullopt;
    tokens += entry.context + entry.new_tokens;
  }
  const auto requests = static_cast<double>(entries.size());
  const double cached = cache_elements_per_token(inputs.shape, parallelism_.tensor);
  const auto time =
      timer_.measured(phase == Phase::decode ? "attention_layer_decode" : "attention_layer_prefill",
                      inputs.precision,
                      {{static_cast<double>(inputs.heads), cached * inputs.kv_bytes, 0},
                       {requests, tokens / requests}});
  if (!time) return std::nullopt;
  KernelCost cost = sum(attention_work(inputs, entries));
  cost.time = *time;
  cost.basis = Basis::measured_table;
  return cost;
}

KernelCost KernelCosts::router(std::int64_t tokens) const {
  return sum(router_work(model_, tokens));
}

KernelCost KernelCosts::expert_ffn(std::span<const std::uint32_t> copies_by_local_expert,
                                   ExpertLayout layout) const {
  const ExpertShape shape{
      model_.expert_hidden(), share(model_.expert_width, parallelism_.expert_tensor), model_.gated,
      precision_.experts,     timer_.compute_precision(precision_.experts),           layout};
  KernelCost cost = sum(expert_work(copies_by_local_expert, shape));
  if (!model_.gated || cost.time == Seconds(0)) return cost;
  const NamedPoint named = expert_point(copies_by_local_expert, shape);
  const auto measured = timer_.measured(named.kernel, shape.precision, named.point);
  if (!measured) return cost;
  const std::vector<std::uint32_t> even(
      copies_by_local_expert.size(),
      static_cast<std::uint32_t>(std::max(1L, std::lround(named.point.at[0]))));
  const double uneven = cost.time / sum(expert_work(even, shape)).time;
  constexpr double kEven = 0.05;  // closer than a measurement repeats (docs/models.md, "Bands")
  cost.time = *measured * uneven;
  if (std::abs(uneven - 1) <= kEven) cost.basis = Basis::measured_table;
  return cost;
}

ExpertLayout KernelCosts::layout_after(const std::string& all_to_all) const {
  const std::vector<std::string>& masked = timer_.efficiencies().masked_after;
  const bool found = std::find(masked.begin(), masked.end(), all_to_all) != masked.end();
  return found ? ExpertLayout::masked : ExpertLayout::contiguous;
}

PartFormat KernelCosts::dense_format() const {
  return {precision_.dense, timer_.compute_precision(precision_.dense),
          parallelism_.feed_forward_tensor};
}

KernelCost KernelCosts::shared_expert(std::int64_t tokens) const {
  return sum(shared_expert_work(model_, tokens, dense_format()));
}

KernelCost KernelCosts::dense_ffn(std::size_t layer, std::int64_t tokens) const {
  return sum(dense_ffn_work(model_, model_.layers.at(layer), tokens, dense_format()));
}

KernelCost KernelCosts::head(std::int64_t tokens_with_output) const {
  return sum(head_work(model_, tokens_with_output, share(model_.vocabulary, parallelism_.tensor)));
}

}  // namespace moesim
