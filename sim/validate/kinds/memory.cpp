// memory: what engines print of weights and KV pools, sizes of checkpoints and of caches.
#include <fmt/format.h>

#include <algorithm>

#include "sim/memory/memory_estimate.h"
#include "sim/memory/rank_memory.h"
#include "sim/validate/memory_record.h"
#include "sim/validate/prediction.h"
#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

MemoryLedger ledger_of(const RecordedMemory& recorded, const std::vector<Batch>& batches) {
  const Bytes memory = recorded.accelerator ? recorded.accelerator->memory : Bytes(0);
  return build_ledger(recorded.model, {{"", memory}}, recorded.plan, batches, Bytes(0));
}

const RankMemory& fullest(const MemoryLedger& ledger) {
  return ledger.ranks[static_cast<std::size_t>(ledger.worst_rank)];
}

double weights_of(const RankMemory& rank) {
  double bytes = 0;
  for (const MemoryKind kind : {MemoryKind::dense_weights, MemoryKind::shared_experts,
                                MemoryKind::routed_experts, MemoryKind::redundant_experts})
    bytes += rank.by_kind[static_cast<std::size_t>(kind)].value;
  return bytes;
}

// Of some layers alone: the attention's own entries, as authors count them, without index keys.
double cache_of_layers(const RecordedMemory& recorded, std::int64_t layers, double tokens) {
  AttentionShape shape;
  for (const LayerShape& layer : recorded.model.layers)
    if (cache_elements_per_token(layer.attention, 1) > 0) shape = layer.attention;
  double per_token = cache_bytes_per_token(shape, recorded.plan.parallelism.tensor,
                                           recorded.plan.precision.kv_cache);
  if (shape.kind == AttentionKind::latent && shape.index_heads != 0) {
    const bool fp8 = recorded.plan.precision.kv_cache == WeightFormat::fp8;
    per_token -= static_cast<double>(shape.index_head_dim) * (fp8 ? 1 : 2) + (fp8 ? 4 : 0);
  }
  return static_cast<double>(layers) * tokens * per_token;
}

struct Predicted {
  double bytes = 0;
  Basis basis = Basis::exact;
  std::string note = {};
};
using Outcome = std::variant<Predicted, Unmapped>;

Outcome predict_cache(const JsonNode& typed, const RecordedMemory& recorded) {
  const int batch = int_of(typed, "batch", 1);
  if (states(typed, "context")) {
    const int context = int_of(typed, "context", 1);
    if (states(typed, "layers"))
      return Predicted{cache_of_layers(recorded, int_of(typed, "layers", 1),
                                       static_cast<double>(batch) * context)};
    double most = 0;  // of the stages
    for (int stage = 0; stage < recorded.sizes.pipeline; ++stage)
      most =
          std::max(most, request_cache_bytes(recorded.model, recorded.plan, context, stage).value);
    return Predicted{batch * most};
  }
  if (!recorded.accelerator)
    return Unmapped{"a KV cache without context, and no accelerator whose memory it could fill"};
  const double room = ledger_of(recorded, {}).cache_room.value;
  if (!(room > 0)) return Unmapped{"weights and activations leave no room for a KV cache"};
  return Predicted{room, Basis::transferred,
                   fmt::format("memory fraction {:g} assumed", recorded.plan.memory.fraction)};
}

Outcome predict_available(const RecordedMemory& recorded) {
  if (!recorded.accelerator) return Unmapped{"memory left free without an accelerator"};
  const RuntimeMemory& runtime = runtime_memory();
  const bool exchanges = recorded.plan.parallelism.ranks > 1;
  const Bytes before = runtime.bytes(recorded.accelerator->memory, exchanges) - runtime.graphs;
  const double free =
      (recorded.accelerator->memory - before).value - weights_of(fullest(ledger_of(recorded, {})));
  return Predicted{free, Basis::calibrated};
}

// What the GPU shows: a process's total leaves the driver's share out.
Bytes shown(const RecordedMemory& recorded) {
  return recorded.accelerator ? (1 - runtime_memory().driver_share) * recorded.accelerator->memory
                              : Bytes(0);
}

// All that an engine takes, its pool included.
Outcome predict_filled(const RecordedMemory& recorded) {
  if (!recorded.accelerator) return Unmapped{"memory in use without context and accelerator"};
  const MemoryLedger ledger = ledger_of(recorded, {});
  const RankMemory& rank = fullest(ledger);
  const Bytes reserve = rank.by_kind[static_cast<std::size_t>(MemoryKind::engine_reserve)];
  return Predicted{(shown(recorded) - reserve).value, Basis::transferred,
                   fmt::format("memory fraction {:g} assumed", recorded.plan.memory.fraction)};
}

Outcome predict_in_use(const JsonNode& typed, const RecordedMemory& recorded) {
  if (!states(typed, "context")) return predict_filled(recorded);
  BatchEntry entry;
  entry.context = int_of(typed, "context", 1) - 1;
  Batch batch;
  batch.by_rank.assign(
      static_cast<std::size_t>(recorded.plan.parallelism.data()),
      std::vector<BatchEntry>(static_cast<std::size_t>(int_of(typed, "batch", 1)), entry));
  const RankMemory& rank = fullest(ledger_of(recorded, {batch}));
  double bytes = weights_of(rank);
  for (const MemoryKind kind : {MemoryKind::kv_cache, MemoryKind::activations, MemoryKind::runtime})
    bytes += rank.by_kind[static_cast<std::size_t>(kind)].value;
  if (recorded.accelerator) bytes -= (recorded.accelerator->memory - shown(recorded)).value;
  return Predicted{bytes, Basis::transferred};
}

// Engines that print the module by itself load an embedding and a head with it, before they take
// the model's; nvfp4 checkpoints leave it in bf16.
Outcome predict_module(const JsonNode& typed, RecordedMemory recorded) {
  const MoeModel& model = recorded.model;
  if (model.mtp_layers.empty())
    return Unmapped{"the model's configuration names no multi-token prediction module"};
  Precision& precision = recorded.plan.precision;
  if (text_of(typed, "dtype") == "nvfp4") precision.experts = precision.dense = WeightFormat::bf16;
  double bytes = mtp_weight_bytes(model, recorded.plan).value;
  if (recorded.accelerator) {
    const std::int64_t tensor = recorded.plan.parallelism.tensor,
                       columns = (model.vocabulary + tensor - 1) / tensor;
    bytes += static_cast<double>(2 * columns * model.hidden) * bytes_per_weight(WeightFormat::bf16);
  }
  return Predicted{bytes};
}

// Buffers of an exchange library, of no model.
Outcome predict_buffers(const JsonNode& typed) {
  MoeModel model;
  model.hidden = int_of(typed, "hidden", 7168);
  model.experts = int_of(typed, "experts", 256);
  model.top_k = int_of(typed, "top_k", 8);
  ShardingPlan plan;
  plan.parallelism.ranks = plan.parallelism.expert = int_of(typed, "ep", int_of(typed, "ranks", 8));
  Accelerator accelerator;
  accelerator.gpus_per_node = int_of(typed, "gpus_per_node", accelerator.gpus_per_node);
  ServedLoad load;
  load.max_tokens_per_rank = int_of(typed, "tokens_per_rank", load.max_tokens_per_rank);
  load.all_to_all = text_of(typed, "algorithm");
  if (load.all_to_all == "deepep")
    load.all_to_all =
        text_of(typed, "mode") == "low_latency" ? "deepep_low_latency" : "deepep_normal";
  if (Catalog<AllToAllPart>::instance().find(load.all_to_all) == nullptr)
    return Unmapped{"no all-to-all of this project stands for \"" + load.all_to_all + "\""};
  return Predicted{served_buffers(model, accelerator, plan, load).value};
}

// The smallest power of two of GPUs that leaves room for a KV cache.
Outcome predict_devices(RecordedMemory recorded) {
  if (!recorded.accelerator) return Unmapped{"a number of devices without an accelerator"};
  std::int64_t heads = 0;
  for (const LayerShape& layer : recorded.model.layers)
    heads = std::max(heads, layer.attention.heads);
  for (int ranks = 1; ranks <= heads; ranks *= 2) {
    ServedSizes sizes;
    sizes.tensor = ranks;
    const Precision precision = recorded.plan.precision;
    recorded.plan = served_plan(recorded.model, sizes, {ServingEngine::vllm});
    recorded.plan.precision = precision;
    if (ledger_of(recorded, {}).cache_room > Bytes(0))
      return Predicted{static_cast<double>(ranks), Basis::transferred};
  }
  return Unmapped{"does not fit on as many GPUs as there are attention heads"};
}

Outcome predict_part(const JsonNode& typed) {
  const std::string part = typed.at("part").as_choice(
      {"weights", "kv_cache", "mtp_weights", "available", "in_use", "file"}, "part");
  if (!states(typed, "model")) {
    if (states(typed, "algorithm")) return predict_buffers(typed);
    return Unmapped{"no model and no exchange algorithm"};
  }
  const RecordedMemory recorded = read_memory_record(typed);
  if (typed.at("quantity").as_string() == "devices") return predict_devices(recorded);
  if (part == "kv_cache") return predict_cache(typed, recorded);
  if (part == "available") return predict_available(recorded);
  if (part == "in_use") return predict_in_use(typed, recorded);
  if (part == "file") {
    const int ranks = int_of(typed, "ranks", 1);
    return Predicted{checkpoint_bytes(recorded.model, recorded.plan.precision).value / ranks};
  }
  if (part == "mtp_weights") return predict_module(typed, recorded);
  return Predicted{weights_of(fullest(ledger_of(recorded, {})))};
}

std::string conditions_text(const JsonNode& typed) {
  std::string text = text_of(typed, "model", text_of(typed, "algorithm"));
  const std::string accelerator = text_of(typed, "accelerator");
  if (!accelerator.empty())
    text += fmt::format(" on {} {}", int_of(typed, "ranks", 1), accelerator);
  for (const char* key : {"tp", "ep", "dp", "layers", "batch", "context"})
    if (states(typed, key)) text += fmt::format(", {} {}", key, int_of(typed, key, 1));
  return text;
}

std::variant<Prediction, Unmapped> predict(const MeasurementRecord& record, const std::string&) {
  const JsonNode& typed = *record.typed;
  const Outcome outcome = predict_part(typed);
  if (const auto* unmapped = std::get_if<Unmapped>(&outcome)) return *unmapped;
  const auto& predicted = std::get<Predicted>(outcome);
  Prediction prediction;
  prediction.what = "memory " + typed.at("part").as_string();
  prediction.conditions = conditions_text(typed);
  prediction.unit = typed.at("quantity").as_string() == "devices" ? "GPUs" : "B";
  prediction.value = predicted.bytes;
  prediction.timed = false;
  prediction.basis = predicted.basis;
  prediction.note = predicted.note;
  return prediction;
}

const Registered<RecordKind> registered{
    "memory", "weights, caches and buffers of a rank", {predict, {}}};

}  // namespace
}  // namespace moesim
