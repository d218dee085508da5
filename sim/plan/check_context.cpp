// Which plans may share a request's cache out over ranks. The rules are those of vLLM's
// decode_context_parallel_size (docs/models.md, "Context parallelism").
#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/plan/sharding_plan.h"

namespace moesim {
namespace {

// What the layer has that no rule is known for; "" = nothing.
std::string beyond(const AttentionShape& shape) {
  if (shape.kind == AttentionKind::compressed) return "compressed attention";
  if (shape.encoder || shape.cross) return "an encoder";
  if (shape.index_heads != 0) return "attention to chosen tokens";
  return shape.sliding_window != 0 ? "attention within a window" : "";
}

bool keeps_context(const AttentionShape& shape) {
  return shape.kind == AttentionKind::latent || shape.kind == AttentionKind::grouped_query;
}

// "" = none.
std::string layer_refusal(const Parallelism& ranks, const AttentionShape& shape) {
  if (shape.kind == AttentionKind::latent) return "";
  const std::int64_t heads = shape.kv_heads, alike = ranks.tensor / heads;
  if (alike <= 1)
    return fmt::format(
        "{} saves nothing with tensor_parallel {}: each of the {} key-value heads is on one rank "
        "only; copies of them begin above tensor_parallel {}",
        ranks.context, ranks.tensor, heads, heads);
  if (ranks.tensor % heads != 0 || alike % ranks.context != 0)
    return fmt::format(
        "{} does not divide the {} ranks of a group of tensor_parallel {} that hold the same of {} "
        "key-value heads",
        ranks.context, alike, ranks.tensor, heads);
  return "";
}

}  // namespace

int context_ranks(const AttentionShape& shape, const Parallelism& parallelism) {
  return keeps_context(shape) ? parallelism.context : 1;
}

std::string context_refusal(const Parallelism& parallelism, const MoeModel& model) {
  if (parallelism.context == 1) return "";
  if (parallelism.context < 1 || parallelism.tensor % parallelism.context != 0)
    return fmt::format("{} does not divide tensor_parallel {}, whose ranks it takes",
                       parallelism.context, parallelism.tensor);
  bool any = false;
  for (const LayerShape& layer : model.layers) {
    const AttentionShape& shape = layer.attention;
    if (shape.kind == AttentionKind::none || shape.recurrent()) continue;
    any = true;
    if (const std::string what = beyond(shape); !what.empty())
      return fmt::format("{} with {}: {} has {}, which is simulated with 1 only",
                         parallelism.context, model.name, model.name, what);
    if (std::string refusal = layer_refusal(parallelism, shape); !refusal.empty()) return refusal;
  }
  if (any) return "";
  return fmt::format("{}: {} keeps no cache that grows with the context", parallelism.context,
                     model.name);
}

void check_context(const Parallelism& parallelism, const MoeModel& model) {
  if (const std::string refusal = context_refusal(parallelism, model); !refusal.empty())
    throw InputError({"", 0, 0, "plan.context_parallel"}, refusal);
}

}  // namespace moesim
