// Conditions of a memory record, turned into a plan as engines make one of them.
#include "sim/validate/memory_record.h"

#include <algorithm>

#include "sim/validate/typed_reader.h"

namespace moesim {
namespace {

// vLLM's `tp` is that of one DP rank, SGLang's counts the ranks of all.
bool tensor_spans_data(const JsonNode& typed, int tensor, int data) {
  if (data == 1 || tensor == 1 || tensor % data != 0) return false;
  if (states(typed, "ranks")) return int_of(typed, "ranks", 1) == tensor;
  return int_of(typed, "ep", 1) == tensor;
}

ServedSizes sizes_of(const JsonNode& typed) {
  ServedSizes sizes;
  const int ranks = int_of(typed, "ranks", 0), data = int_of(typed, "dp", 1),
            expert = int_of(typed, "ep", 1);
  const bool stated = states(typed, "tp") || states(typed, "dp") || states(typed, "ep");
  int tensor = int_of(typed, "tp", stated || ranks == 0 ? 1 : ranks);
  if (!states(typed, "tp") && data == 1 && expert > 1) tensor = 1;
  sizes.data = data;
  sizes.tensor = tensor_spans_data(typed, tensor, data) ? tensor / data : tensor;
  // Experts on more ranks than attention says it has: DP attention.
  if (!states(typed, "dp") && expert > sizes.tensor && expert % sizes.tensor == 0)
    sizes.data = expert / sizes.tensor;
  const int of_stage = sizes.tensor * sizes.data;
  sizes.expert = expert;
  if (ranks > of_stage && ranks % of_stage == 0) sizes.pipeline = ranks / of_stage;
  return sizes;
}

EngineMemory engine_of(const JsonNode& typed) {
  EngineMemory memory;
  if (!states(typed, "accelerator")) return memory;  // no run of an engine
  const int tensor = int_of(typed, "tp", 1), data = int_of(typed, "dp", 1);
  memory.engine =
      tensor_spans_data(typed, tensor, data) ? ServingEngine::sglang : ServingEngine::vllm;
  return memory;
}

// Formats of a checkpoint that was quantised otherwise than the model's own: nvfp4 ones leave
// attention as it was, mxfp4 ones all but the experts.
void set_formats(const JsonNode& typed, const MoeModel& model, Precision& precision) {
  const std::string stated = text_of(typed, "dtype");
  if (stated.empty()) return;
  const WeightFormat format = weight_format_named(stated == "fp16" ? "bf16" : stated);
  if (format == model.expert_format) return;
  precision.experts = format;
  if (format == WeightFormat::mxfp4) return;
  precision.dense = format;
  precision.attention.reset();
  if (format == WeightFormat::nvfp4) precision.attention = WeightFormat::bf16;
}

}  // namespace

bool states(const JsonNode& typed, const char* key) { return typed.find(key).has_value(); }

RecordedMemory read_memory_record(const JsonNode& typed) {
  RecordedMemory recorded;
  recorded.model = load_model(typed.at("model").as_string());
  const bool of_cache = typed.at("part").as_string() == "kv_cache";
  std::vector<LayerShape>& layers = recorded.model.layers;
  if (!of_cache)
    layers.resize(
        std::min(layers.size(), static_cast<std::size_t>(int_of(typed, "layers", 1 << 20))));
  recorded.sizes = sizes_of(typed);
  // More experts than the model's are slots; without a word, as few as the ranks can share.
  const auto experts = static_cast<int>(recorded.model.experts);
  int& redundant = recorded.sizes.redundant_experts;
  redundant = std::max(0, int_of(typed, "experts", 0) - experts);
  if (const int over = (experts + redundant) % recorded.sizes.expert; over != 0)
    redundant += recorded.sizes.expert - over;
  recorded.plan = served_plan(recorded.model, recorded.sizes, engine_of(typed));
  if (!of_cache) set_formats(typed, recorded.model, recorded.plan.precision);
  if (of_cache && text_of(typed, "dtype") == "fp8")
    recorded.plan.precision.kv_cache = WeightFormat::fp8;
  if (const auto accelerator = typed.find("accelerator"))
    recorded.accelerator = load_accelerator(accelerator_file(*accelerator));
  return recorded;
}

}  // namespace moesim
