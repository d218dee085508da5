// KernelCosts: work of each part, timed by roofline on one accelerator.
#include "sim/cost/kernel_costs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/cost/quantised_product.h"

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
                               precision_.kv_cache == WeightFormat::fp8 ? 1.0 : 2.0};
  if (const auto measured = measured_attention(inputs, entries)) return *measured;
  std::vector<KernelWork> works = attention_work(inputs, entries);
  std::int64_t tokens = 0;
  for (const BatchEntry& entry : entries) tokens += entry.new_tokens;
  if (!works.empty()) add_stream_mixing(tokens, works);
  return sum(works);
}

// A table's layer, where all entries are of one phase and prompts have nothing cached.
std::optional<KernelCost> KernelCosts::measured_attention(
    const AttentionInputs& inputs, std::span<const BatchEntry> entries) const {
  if (entries.empty() || model_.residual_streams != 1) return std::nullopt;
  const Phase phase = entries.front().phase;
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

// A part reads a mixture of all streams and its output is added to each of them, mixed anew. The
// weights of the mixtures come from one product with the streams.
void KernelCosts::add_stream_mixing(std::int64_t tokens, std::vector<KernelWork>& works) const {
  const std::int64_t streams = model_.residual_streams;
  if (streams == 1) return;
  works.push_back(gemm_work(
      tokens, {streams * model_.hidden, (2 + streams) * streams, WeightFormat::bf16, "bf16"}));
  works.push_back(elementwise_work(tokens, (3 * streams + 2) * model_.hidden));
}

KernelCost KernelCosts::router(std::int64_t tokens) const {
  if (tokens == 0) return sum({});
  const std::int64_t choices = model_.experts + model_.zero_experts;
  std::vector<KernelWork> works{
      elementwise_work(tokens, 4 * model_.hidden),
      gemm_work(tokens, {model_.hidden, choices, WeightFormat::bf16, "bf16"}),
      elementwise_work(tokens, choices + 2 * model_.top_k)};
  add_stream_mixing(tokens, works);
  return sum(works);
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

KernelCost KernelCosts::shared_expert(std::int64_t tokens) const {
  std::vector<KernelWork> works;
  if (tokens == 0) return sum(works);
  const std::string precision = timer_.compute_precision(precision_.dense);
  const auto gemm = [&](std::int64_t inner, std::int64_t outer) {
    add_product(tokens, {inner, outer, precision_.dense, precision}, works);
  };
  const std::int64_t width = share(model_.shared_width, parallelism_.feed_forward_tensor),
                     inward = model_.matrices() - 1;
  if (width != 0) {
    gemm(model_.hidden, inward * width);
    works.push_back(elementwise_work(tokens, (inward + 1) * width));
    works.push_back(gemm_work(tokens, {width, model_.hidden, precision_.dense, precision}));
  }
  if (model_.latent_hidden != 0) {
    gemm(model_.hidden, model_.latent_hidden);
    gemm(model_.latent_hidden, model_.hidden);
  }
  return sum(works);
}

KernelCost KernelCosts::dense_ffn(std::size_t layer, std::int64_t tokens) const {
  const LayerShape& shape = model_.layers.at(layer);
  const std::int64_t width = share(shape.dense_width, parallelism_.feed_forward_tensor),
                     inward = model_.matrices() - 1;
  if (tokens == 0 || width == 0) return sum({});
  const std::string precision = timer_.compute_precision(precision_.dense);
  std::vector<KernelWork> works;
  if (shape.ffn == FfnKind::dense) {  // beside experts the router's norm serves both
    works.push_back(elementwise_work(tokens, 4 * model_.hidden));
    add_stream_mixing(tokens, works);
  }
  add_product(tokens, {model_.hidden, inward * width, precision_.dense, precision}, works);
  works.push_back(elementwise_work(tokens, (inward + 1) * width));
  works.push_back(gemm_work(tokens, {width, model_.hidden, precision_.dense, precision}));
  return sum(works);
}

KernelCost KernelCosts::head(std::int64_t tokens_with_output) const {
  if (tokens_with_output == 0) return sum({});
  const std::int64_t columns = share(model_.vocabulary, parallelism_.tensor);
  // Sampling reads the logits in f32 twice: for the largest, or the sum, and for the choice.
  const double logits = 8.0 * static_cast<double>(tokens_with_output * columns);
  return sum({elementwise_work(tokens_with_output, 4 * model_.hidden),
              gemm_work(tokens_with_output, {model_.hidden, columns, WeightFormat::bf16, "bf16"}),
              {"elementwise", Flops(0), Bytes(logits), "bf16"}});
}

}  // namespace moesim
