// How an engine divides a GPU's memory, key by key.
#include "sim/scenario/load_memory.h"

namespace moesim {

EngineMemory read_engine_memory(const std::optional<JsonNode>& node) {
  EngineMemory memory;
  if (!node) return memory;
  node->allow_only({"engine", "fraction", "page_tokens", "fragmentation", "mtp", "prefill_chunk",
                    "max_requests"});
  if (const auto engine = node->find("engine"))
    memory.engine = engine_named(engine->as_choice(engine_names(), "engine"));
  for (const char* key : {"fraction", "prefill_chunk", "max_requests"}) {
    const auto of_engine = node->find(key);
    if (of_engine && memory.engine == ServingEngine::none)
      of_engine->fail("is an engine's; name one with \"engine\"");
  }
  if (const auto value = node->find("fraction")) memory.fraction = value->as_ratio(0, 1);
  if (const auto value = node->find("page_tokens"))
    memory.page_tokens = static_cast<int>(value->as_int(1, 1 << 16));
  if (const auto value = node->find("fragmentation"))
    memory.fragmentation = value->as_ratio(0, 0.9);
  if (const auto value = node->find("mtp")) memory.mtp = value->as_bool();
  if (const auto value = node->find("prefill_chunk"))
    memory.prefill_chunk = static_cast<int>(value->as_int(1, 1 << 20));
  if (const auto value = node->find("max_requests"))
    memory.max_requests = static_cast<int>(value->as_int(1, 1 << 16));
  return memory;
}

}  // namespace moesim
