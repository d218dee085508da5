// The forward pass against the public implementations' own outputs (tests/data/golden/README.md).
#include "tests/workloads/golden.h"

#include <doctest/doctest.h>

#include "tests/source_dir.h"

namespace moesim {
namespace {

struct Tolerance {
  double logits, router_logits, weights, blocks;
};
constexpr Tolerance kGolden{5e-5, 5e-5, 1e-5, 5e-5};

template <class T>
std::vector<T> flat(const nlohmann::json& rows) {
  std::vector<T> values;
  for (const auto& row : rows)
    for (const auto& value : row) values.push_back(value.get<T>());
  return values;
}

// The part of a [2 * tokens][...] array that belongs to one of the two prompts.
template <class T>
std::vector<T> half(const std::vector<T>& values, std::size_t prompt) {
  const auto size = static_cast<std::ptrdiff_t>(values.size() / 2);
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(prompt) * size;
  return {first, first + size};
}

void check_layer(const LayerRouting& layer,
                 const nlohmann::json& expected,
                 std::size_t prompt,
                 const Tolerance& tolerance) {
  CHECK(layer.layer == std::stoi(expected["module"].get<std::string>().substr(13)));
  CHECK(layer.experts == half(flat<std::uint16_t>(expected["topk_idx"]), prompt));
  CHECK(largest_difference(layer.weights, half(flat<float>(expected["topk_weights"]), prompt)) <=
        tolerance.weights);
  CHECK(largest_difference(layer.router_logits, half(flat<float>(expected["router_logits"]),
                                                     prompt)) <= tolerance.router_logits);
}

void check_golden(const std::string& folder, const Tolerance& tolerance) {
  const auto expected = nlohmann::json::parse(read_text_file(folder + "/expected.json"));
  const SafetensorsFile tensors(folder + "/expected.safetensors");
  const ForwardModel model(folder);
  for (std::size_t prompt = 0; prompt < 2; ++prompt) {
    CAPTURE(prompt);
    const auto tokens = expected["input_ids"][prompt].get<std::vector<std::int32_t>>();
    const ForwardOutput output = run_tokens(model, tokens);
    const ForwardOutput decoded = run_decoding(model, tokens, tokens.size() - 1);
    const auto logits = half(floats_of(*tensors.find("logits")), prompt);
    CHECK(largest_difference(output.logits, logits) <= tolerance.logits);
    CHECK(largest_difference(decoded.logits, output.logits) <= tolerance.logits);
    REQUIRE(output.routing.size() == expected["layers"].size());
    for (std::size_t layer = 0; layer < output.routing.size(); ++layer) {
      CAPTURE(layer);
      check_layer(output.routing[layer], expected["layers"][layer], prompt, tolerance);
      check_layer(decoded.routing[layer], expected["layers"][layer], prompt, tolerance);
      const std::string block = "moe." + std::to_string(layer);
      CHECK(largest_difference(output.routing[layer].input,
                               half(floats_of(*tensors.find(block + ".input")), prompt)) <=
            tolerance.blocks);
      CHECK(largest_difference(output.routing[layer].output,
                               half(floats_of(*tensors.find(block + ".output")), prompt)) <=
            tolerance.blocks);
    }
  }
}

TEST_CASE("every decoder agrees with its golden vectors") {
  std::size_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder(""))) {
    const std::string name = entry.path().filename();
    // The one encoder-decoder has a layout and a test of its own.
    if (!entry.is_directory() || name == "switch_transformers") continue;
    CAPTURE(name);
    Tolerance tolerance = kGolden;
    if (name == "qwen3_next") tolerance.logits = 1e-4;  // longest chain of recurrent sums
    CHECK_NOTHROW(check_golden(entry.path(), tolerance));
    ++folders;
  }
  CHECK(folders >= 10);
}

TEST_CASE("the shipped reference model agrees with the vectors of its training code") {
  check_golden(test::source_dir() + "/workloads/reference/model", kGolden);
}

TEST_CASE("a mixture's logits are a bare matrix product of the block's input") {
  // router_logits[t][e] = sum over h of input[t][h] * gate[e][h]
  const ForwardModel model(golden_folder("mixtral"));
  const LooseCheckpoint weights("mixtral");
  const auto gate = weights.values("model.layers.1.block_sparse_moe.gate.weight");
  const LayerRouting layer = run_tokens(model, {1, 2, 3}).routing[1];
  const std::size_t hidden = 32, experts = 8;
  for (std::size_t token = 0; token < 3; ++token)
    for (std::size_t expert = 0; expert < experts; ++expert) {
      double sum = 0;
      for (std::size_t h = 0; h < hidden; ++h)
        sum += static_cast<double>(layer.input[token * hidden + h]) * gate[expert * hidden + h];
      CHECK(layer.router_logits[token * experts + expert] == doctest::Approx(sum).epsilon(1e-4));
    }
}

}  // namespace
}  // namespace moesim
