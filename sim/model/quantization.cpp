// Reads torch_dtype and quantization_config.
#include "sim/model/quantization.h"

#include <algorithm>

namespace moesim {
namespace {

// transformers v4.57.1 calls the key torch_dtype, later versions dtype.
WeightFormat stored_format(const JsonNode& config) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    const auto found = config.find(key);
    if (!found) continue;
    const std::string type = found->as_choice({"bfloat16", "float16", "float32"}, "weight type");
    return type == "float32" ? WeightFormat::f32 : WeightFormat::bf16;  // float16: also two bytes
  }
  return WeightFormat::bf16;
}

void read_fp8(const JsonNode& quantization, MoeModel& model) {
  const JsonNode block = quantization.at("weight_block_size");
  const auto sides = block.items();
  if (sides.size() != 2 || sides[0].as_int(1, 4096) != 128 || sides[1].as_int(1, 4096) != 128) {
    block.fail("only [128, 128] is implemented");
  }
  model.expert_format = model.dense_format = WeightFormat::fp8;
}

bool ignores(const JsonNode& quantization, const std::string& part) {
  const auto ignored = quantization.find("ignore");
  if (!ignored) return false;
  const auto patterns = ignored->items();
  return std::any_of(patterns.begin(), patterns.end(), [&](const JsonNode& pattern) {
    return pattern.as_string().find(part) != std::string::npos;
  });
}

// https://github.com/vllm-project/compressed-tensors: config_groups name what a group of modules is
// packed as, `ignore` the modules left as they are, by name or regular expression.
void read_compressed_tensors(const JsonNode& quantization, MoeModel& model) {
  quantization.at("format").as_choice({"pack-quantized"}, "compressed format");
  const JsonNode groups = quantization.at("config_groups");
  const std::vector<std::string> names = groups.keys();
  if (names.size() != 1) groups.fail("only one group of modules is implemented");
  const JsonNode weights = groups.at(names.front()).at("weights");
  weights.at("type").as_choice({"int"}, "weight type");
  weights.at("strategy").as_choice({"group"}, "quantization strategy");
  weights.at("num_bits").as_int(4, 4);
  weights.at("group_size").as_int(32, 32);
  if (!weights.at("symmetric").as_bool()) {
    weights.at("symmetric").fail("only true, no zero points, is implemented");
  }
  model.expert_format = WeightFormat::int4;
  int plain = 0;
  for (const char* part : {"self_attn", "shared_experts", "gate_up"}) {
    plain += ignores(quantization, part) ? 1 : 0;
  }
  if (plain != 0 && plain != 3) {
    quantization.at("ignore").fail(
        "must name all or none of self_attn, shared_experts and the dense gate, up and down "
        "projections");
  }
  if (plain == 0) model.dense_format = WeightFormat::int4;
}

}  // namespace

void read_formats(const JsonNode& config, MoeModel& model) {
  model.expert_format = model.dense_format = stored_format(config);
  const auto found = config.find("quantization_config");
  if (!found) return;
  const std::string method =
      found->at("quant_method").as_choice({"fp8", "mxfp4", "compressed-tensors"}, "quantization");
  if (method == "fp8") return read_fp8(*found, model);
  if (method == "mxfp4") {
    model.expert_format = WeightFormat::mxfp4;
    return;
  }
  read_compressed_tensors(*found, model);
}

}  // namespace moesim
