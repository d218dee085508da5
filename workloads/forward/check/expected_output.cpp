// Reading expected.json and expected.safetensors.
#include "workloads/forward/check/expected_output.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "sim/io/json_reader.h"
#include "sim/io/safetensors.h"
#include "sim/trace/routing_trace.h"

namespace moesim {
namespace {

// All numbers of nested arrays, in order.
void flatten(const JsonNode& node, const nlohmann::json& value, std::vector<double>& into) {
  if (value.is_array()) {
    for (const nlohmann::json& item : value) flatten(node, item, into);
    return;
  }
  if (!value.is_number()) node.fail("holds something that is no number: " + value.dump());
  into.push_back(value.get<double>());
}

std::vector<double> numbers_at(const JsonNode& object, const char* key) {
  std::vector<double> numbers;
  if (const auto node = object.find(key)) flatten(*node, node->json(), numbers);
  return numbers;
}

std::vector<float> floats_at(const JsonNode& object, const char* key) {
  const std::vector<double> numbers = numbers_at(object, key);
  return {numbers.begin(), numbers.end()};
}

std::vector<std::vector<std::int32_t>> read_prompts(const JsonNode& list, int vocabulary) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const JsonNode& prompt : list.items()) {
    auto& ids = prompts.emplace_back();
    for (const JsonNode& id : prompt.items())
      ids.push_back(static_cast<std::int32_t>(id.as_int(0, vocabulary - 1)));
    if (ids.empty()) prompt.fail("a prompt needs at least one token");
  }
  if (prompts.empty()) list.fail("needs at least one prompt");
  return prompts;
}

std::size_t tokens_of(const std::vector<std::vector<std::int32_t>>& prompts) {
  std::size_t tokens = 0;
  for (const auto& prompt : prompts) tokens += prompt.size();
  return tokens;
}

// Choices of tokens that were not kept become kNotRouted: those experts did not work on them.
void drop(const std::vector<double>& kept, ExpectedLayer& layer) {
  const std::size_t top_k = layer.experts.size() / layer.rows;
  for (std::size_t row = 0; row < kept.size(); ++row)
    if (kept[row] == 0)
      for (std::size_t i = row * top_k; i < (row + 1) * top_k; ++i) layer.experts[i] = kNotRouted;
}

ExpectedLayer read_layer(const JsonNode& node, std::size_t rows) {
  ExpectedLayer layer;
  layer.rows = rows;
  const JsonNode choices = node.at("topk_idx");
  for (const double id : numbers_at(node, "topk_idx")) {
    if (id < 0 || id > kNotRouted || id != static_cast<double>(static_cast<std::uint16_t>(id)))
      choices.fail(fmt::format("{} is no expert", id));
    layer.experts.push_back(static_cast<std::uint16_t>(id));
  }
  if (layer.experts.empty() || layer.experts.size() % rows != 0)
    choices.fail(fmt::format("holds {} choices for {} tokens", layer.experts.size(), rows));
  layer.weights = floats_at(node, "topk_weights");
  if (!layer.weights.empty() && layer.weights.size() != layer.experts.size())
    node.at("topk_weights")
        .fail(fmt::format("holds {} weights for {} choices", layer.weights.size(),
                          layer.experts.size()));
  layer.router_logits = floats_at(node, "router_logits");
  const std::vector<double> kept = numbers_at(node, "kept");
  if (!kept.empty() && kept.size() != rows)
    node.at("kept").fail(fmt::format("holds {} values for {} tokens", kept.size(), rows));
  drop(kept, layer);
  return layer;
}

std::vector<float> floats_of(const SafetensorsFile& file, const std::string& name) {
  const TensorView* tensor = file.find(name);
  if (tensor == nullptr) return {};
  if (tensor->dtype != Dtype::f32)
    throw InputError(fmt::format("{}: tensor {} is stored as {}; expected outputs are F32",
                                 file.path(), name, to_text(tensor->dtype)));
  std::vector<float> values(static_cast<std::size_t>(tensor->elements()));
  std::memcpy(values.data(), tensor->data.data(), tensor->data.size());
  return values;
}

}  // namespace

ExpectedOutput read_expected(const std::string& folder, bool encoder_decoder, int vocabulary) {
  ExpectedOutput expected;
  expected.json_path = folder + "/expected.json";
  const JsonNode root = read_json_file(expected.json_path);
  expected.input_ids = read_prompts(root.at("input_ids"), vocabulary);
  const std::size_t tokens = tokens_of(expected.input_ids);
  if (encoder_decoder) {
    expected.decoder_input_ids = read_prompts(root.at("decoder_input_ids"), vocabulary);
    if (expected.decoder_input_ids.size() != expected.input_ids.size())
      root.at("decoder_input_ids")
          .fail(fmt::format("has {} prompts; input_ids has {}", expected.decoder_input_ids.size(),
                            expected.input_ids.size()));
  }
  for (const JsonNode& node : root.at("layers").items()) {
    const auto module = node.find("module");
    const bool of_decoder = encoder_decoder && module && module->as_string().starts_with("decoder");
    expected.layers.push_back(
        read_layer(node, of_decoder ? tokens_of(expected.decoder_input_ids) : tokens));
  }
  const std::string tensors = folder + "/expected.safetensors";
  if (!std::filesystem::exists(tensors)) return expected;
  const SafetensorsFile file(tensors);
  const TensorView* logits = file.find("logits");
  if (logits != nullptr && (logits->shape.empty() || logits->shape.back() != vocabulary))
    throw InputError(fmt::format(
        "{}: tensor logits: its last axis must be the vocabulary, {} values", tensors, vocabulary));
  expected.logits = floats_of(file, "logits");
  for (std::size_t i = 0; i < expected.layers.size(); ++i) {
    expected.layers[i].input = floats_of(file, fmt::format("moe.{}.input", i));
    expected.layers[i].output = floats_of(file, fmt::format("moe.{}.output", i));
  }
  return expected;
}

}  // namespace moesim
