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

// Whether a list of modules left as they are, by name or regular expression, names one that has
// `part` in its name.
bool leaves_out(const JsonNode& quantization, const std::string& part) {
  for (const char* key :
       {"ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules"}) {
    const auto list = quantization.find(key);
    if (!list) continue;
    const auto patterns = list->items();
    const bool named = std::any_of(patterns.begin(), patterns.end(), [&](const JsonNode& pattern) {
      return pattern.as_string().find(part) != std::string::npos;
    });
    if (named) return true;
  }
  return false;
}

// All matrices in `format`, but those of attention where the list of exceptions names them.
void set_all(const JsonNode& quantization, WeightFormat format, MoeModel& model) {
  const WeightFormat plain = model.dense_format;
  model.expert_format = model.dense_format = format;
  if (leaves_out(quantization, "self_attn")) model.attention_format = plain;
}

// Without blocks there is one scale a matrix or row, which is less than can be seen.
void read_fp8(const JsonNode& quantization, MoeModel& model) {
  if (const auto block = quantization.find("weight_block_size")) {
    const auto sides = block->items();
    if (sides.size() != 2 || sides[0].as_int(1, 4096) != 128 || sides[1].as_int(1, 4096) != 128) {
      block->fail("only [128, 128] is implemented");
    }
  }
  set_all(quantization, WeightFormat::fp8, model);
}

WeightFormat grouped_int4(const JsonNode& group_size, bool zero_points) {
  switch (group_size.as_int(1, 1 << 20)) {
    case 32:
      if (!zero_points) return WeightFormat::int4;
      break;
    case 64:
      if (!zero_points) return WeightFormat::int4_g64;
      break;
    case 128:
      return zero_points ? WeightFormat::int4_g128_zero : WeightFormat::int4_g128;
    default:
      break;
  }
  group_size.fail(
      "only groups of 32, 64 and 128 weights are implemented, with zero points only 128");
}

// https://github.com/vllm-project/compressed-tensors: config_groups name what a group of modules is
// packed as, `ignore` the modules left as they are, by name or regular expression.
WeightFormat compressed_format(const JsonNode& quantization) {
  const std::string packing = quantization.at("format").as_choice(
      {"pack-quantized", "float-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized"},
      "compressed format");
  if (packing == "float-quantized") return WeightFormat::fp8;
  if (packing == "nvfp4-pack-quantized") return WeightFormat::nvfp4;
  if (packing == "mxfp4-pack-quantized") return WeightFormat::mxfp4;
  const JsonNode groups = quantization.at("config_groups");
  const std::vector<std::string> names = groups.keys();
  if (names.size() != 1) groups.fail("only one group of modules is implemented");
  const JsonNode weights = groups.at(names.front()).at("weights");
  weights.at("type").as_choice({"int"}, "weight type");
  weights.at("strategy").as_choice({"group"}, "quantization strategy");
  weights.at("num_bits").as_int(4, 4);
  return grouped_int4(weights.at("group_size"), !weights.at("symmetric").as_bool());
}

void read_compressed_tensors(const JsonNode& quantization, MoeModel& model) {
  const WeightFormat plain = model.dense_format;
  set_all(quantization, compressed_format(quantization), model);
  const bool shared = leaves_out(quantization, "shared_experts"),
             dense = leaves_out(quantization, "gate_up");
  if (shared != dense)
    quantization.at("ignore").fail(
        "must name both or neither of shared_experts and the dense gate, up and down projections");
  if (!shared) return;
  model.dense_format = plain;
  if (model.attention_format) {
    model.attention_format.reset();
  } else {
    model.attention_format = model.expert_format;
  }
}

// AutoAWQ and GPTQModel: every linear layer but the router and the head. GPTQ stores zero points
// also where all are the same.
void read_packed_int4(const JsonNode& quantization, MoeModel& model) {
  quantization.at("bits").as_int(4, 4);
  set_all(quantization, grouped_int4(quantization.at("group_size"), true), model);
}

void read_modelopt(const JsonNode& quantization, MoeModel& model) {
  const std::string algorithm =
      quantization.at("quant_algo").as_choice({"FP8", "NVFP4"}, "quantization");
  set_all(quantization, algorithm == "FP8" ? WeightFormat::fp8 : WeightFormat::nvfp4, model);
}

}  // namespace

void read_formats(const JsonNode& config, MoeModel& model) {
  model.expert_format = model.dense_format = stored_format(config);
  const auto found = config.find("quantization_config");
  if (!found) return;
  const std::string method =
      found->at("quant_method")
          .as_choice({"fp8", "mxfp4", "compressed-tensors", "awq", "gptq", "modelopt", "bitnet"},
                     "quantization");
  if (method == "fp8") return read_fp8(*found, model);
  if (method == "compressed-tensors") return read_compressed_tensors(*found, model);
  if (method == "awq" || method == "gptq") return read_packed_int4(*found, model);
  if (method == "modelopt") return read_modelopt(*found, model);
  if (method == "bitnet") return set_all(*found, WeightFormat::ternary, model);
  model.expert_format = WeightFormat::mxfp4;
}

}  // namespace moesim
