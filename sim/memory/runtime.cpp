// What is neither the model's nor its requests': constants of drivers, runtimes and engines, and
// what an engine's fraction leaves for the KV cache.
#include <algorithm>

#include "sim/io/files.h"
#include "sim/io/kept_json.h"
#include "sim/memory/rank_memory.h"

namespace moesim {
namespace {

RuntimeMemory read_runtime_memory() {
  const JsonNode file = kept_json_file(data_path("topologies/calibration/memory.json"));
  RuntimeMemory read;
  read.driver_share = file.at("driver_share").as_ratio(0, 1);
  read.context = file.at("context").as_bytes();
  read.communicators = file.at("communicators").as_bytes();
  read.libraries = file.at("libraries").as_bytes();
  read.graphs = file.at("graphs").as_bytes();
  read.logit_copies = file.at("logit_copies").as_ratio(1, 100);
  read.mxfp4_width_multiple = file.at("mxfp4_width_multiple").as_int(1, 1 << 16);
  read.mxfp4_hidden_multiple = file.at("mxfp4_hidden_multiple").as_int(1, 1 << 16);
  return read;
}

Bytes of(const RankMemory& rank, MemoryKind kind) {
  return rank.by_kind[static_cast<std::size_t>(kind)];
}

Bytes weights(const RankMemory& rank) {
  Bytes sum;
  for (const MemoryKind kind :
       {MemoryKind::dense_weights, MemoryKind::shared_experts, MemoryKind::routed_experts,
        MemoryKind::redundant_experts, MemoryKind::mtp_weights})
    sum += of(rank, kind);
  return sum;
}

}  // namespace

const RuntimeMemory& runtime_memory() {
  static const RuntimeMemory memory = read_runtime_memory();
  return memory;
}

Bytes RuntimeMemory::bytes(Bytes capacity, bool exchanges) const {
  return driver_share * capacity + context + (exchanges ? communicators : Bytes(0)) + graphs;
}

Bytes pool_bytes(const RankMemory& rank, Bytes capacity, const ShardingPlan& plan) {
  const double fraction = plan.memory.fraction;
  const RuntimeMemory& constants = runtime_memory();
  const Bytes held = weights(rank), runtime = of(rank, MemoryKind::runtime),
              steps = of(rank, MemoryKind::activations) + of(rank, MemoryKind::exchange_buffers),
              driver = constants.driver_share * capacity, shown = capacity - driver,
              free = capacity - runtime - held - steps;
  // What is free before weights are loaded: context and communicators are there already.
  const Bytes started = capacity - runtime + constants.graphs;
  switch (plan.memory.engine) {
    case ServingEngine::none:
      return free;
    case ServingEngine::vllm:
      return std::min(free, fraction * shown - held - steps - constants.libraries);
    case ServingEngine::sglang:
      return std::min(free, fraction * started - held);
    case ServingEngine::tensorrt_llm:
      return fraction * (free + constants.graphs);
  }
  return free;
}

}  // namespace moesim
