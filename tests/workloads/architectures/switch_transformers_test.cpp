// The encoder-decoder against the golden vectors of the public class, and its parts by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/workloads/golden.h"
#include "workloads/forward/relative_attention.h"

namespace moesim {
namespace {

constexpr double kTolerance = 5e-5, kWeights = 1e-5;
const ForwardOptions kEverything{.threads = 1, .logits = KeepLogits::all, .keep_blocks = true};

using Tokens = std::vector<std::int32_t>;

struct SwitchRun {
  ForwardOutput encoder, decoder;
};

SwitchRun run_pair(const ForwardModel& model, const Tokens& input, const Tokens& output) {
  const auto cache = model.new_cache();
  const ForwardModel::Request request{input, cache.get()};
  SwitchRun run;
  run.encoder = model.encode({&request, 1}, kEverything);
  run.decoder = model.run(output, *cache, kEverything);
  return run;
}

template <class T>
std::vector<T> row_of(const nlohmann::json& rows) {
  return rows.get<std::vector<T>>();
}

std::vector<float> flat_rows(const nlohmann::json& rows) {
  std::vector<float> values;
  for (const auto& row : rows)
    for (const auto& value : row) values.push_back(value.get<float>());
  return values;
}

std::vector<float> half_of(const SafetensorsFile& file, const std::string& name, std::size_t half) {
  const std::vector<float> all = floats_of(*file.find(name));
  const auto size = static_cast<std::ptrdiff_t>(all.size() / 2);
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(half) * size;
  return {first, first + size};
}

void check_routing(const LayerRouting& layer, const nlohmann::json& expected, std::size_t prompt) {
  CHECK(largest_difference(layer.router_logits, flat_rows(expected["router_logits"][prompt])) <=
        kTolerance);
  const auto chosen = row_of<std::uint16_t>(expected["topk_idx"][prompt]);
  const auto weights = row_of<float>(expected["topk_weights"][prompt]);
  const auto kept = row_of<int>(expected["kept"][prompt]);
  REQUIRE(layer.experts.size() == chosen.size());
  for (std::size_t token = 0; token < chosen.size(); ++token) {
    CHECK(layer.experts[token] == (kept[token] != 0 ? chosen[token] : kNotRouted));
    const double weight = kept[token] != 0 ? weights[token] : 0.0;
    CHECK(std::abs(layer.weights[token] - weight) <= kWeights);
  }
}

TEST_CASE("Switch agrees with its golden vectors, drops included") {
  const std::string folder = golden_folder("switch_transformers");
  const auto expected = nlohmann::json::parse(read_text_file(folder + "/expected.json"));
  const SafetensorsFile tensors(folder + "/expected.safetensors");
  const ForwardModel model(folder);
  CHECK(model.has_encoder());
  CHECK(model.moe_layer_ids() == std::vector<int>{1, 3, 5, 7});  // of 4 + 4 layers
  for (std::size_t prompt = 0; prompt < 2; ++prompt) {
    CAPTURE(prompt);
    const SwitchRun run = run_pair(model, row_of<std::int32_t>(expected["input_ids"][prompt]),
                                   row_of<std::int32_t>(expected["decoder_input_ids"][prompt]));
    CHECK(largest_difference(run.decoder.logits, half_of(tensors, "logits", prompt)) <= kTolerance);
    for (std::size_t layer = 0; layer < 4; ++layer) {
      CAPTURE(layer);
      const auto& module = expected["layers"][layer]["module"];
      const bool decodes = module.get<std::string>().starts_with("decoder");
      const LayerRouting& routing = (decodes ? run.decoder : run.encoder).routing[layer];
      check_routing(routing, expected["layers"][layer], prompt);
      const std::string block = "moe." + std::to_string(layer);
      CHECK(largest_difference(routing.input, half_of(tensors, block + ".input", prompt)) <=
            kTolerance);
      CHECK(largest_difference(routing.output, half_of(tensors, block + ".output", prompt)) <=
            kTolerance);
    }
  }
}

const Tokens kInput{7, 3, 60, 21, 9, 9, 33, 1}, kOutput{0, 11, 5, 42, 8};

TEST_CASE("Switch decodes token by token what it prefills when no expert is full") {
  LooseCheckpoint checkpoint("switch_transformers");
  checkpoint.config["expert_capacity"] = kInput.size();  // nobody is dropped
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  const ForwardModel model(folder.path());
  const SwitchRun whole = run_pair(model, kInput, kOutput);
  const auto cache = model.new_cache();
  const ForwardModel::Request request{kInput, cache.get()};
  model.encode({&request, 1}, kEverything);
  std::vector<float> logits;
  for (const std::int32_t token : kOutput) {
    const ForwardOutput next = model.run(std::span(&token, 1), *cache, kEverything);
    logits.insert(logits.end(), next.logits.begin(), next.logits.end());
  }
  CHECK(largest_difference(logits, whole.decoder.logits) <= kTolerance);
}

TEST_CASE("Switch gives every request its own capacity and encoder, alone or in a batch") {
  const ForwardModel model(golden_folder("switch_transformers"));
  const Tokens other{50, 2, 2, 17}, other_output{0, 1, 2};
  const SwitchRun first = run_pair(model, kInput, kOutput);
  const SwitchRun second = run_pair(model, other, other_output);
  const auto a = model.new_cache(), b = model.new_cache();
  const std::vector<ForwardModel::Request> inputs{{kInput, a.get()}, {other, b.get()}};
  const std::vector<ForwardModel::Request> outputs{{kOutput, a.get()}, {other_output, b.get()}};
  const ForwardOutput encoded = model.encode(inputs, kEverything);
  const ForwardOutput both = model.run(outputs, kEverything);
  const auto join = [](auto left, const auto& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
  };
  CHECK(largest_difference(both.logits, join(first.decoder.logits, second.decoder.logits)) <=
        kTolerance);
  for (std::size_t layer = 0; layer < 4; ++layer) {
    const bool decodes = layer >= 2;
    const ForwardOutput& one = decodes ? first.decoder : first.encoder;
    const ForwardOutput& two = decodes ? second.decoder : second.encoder;
    CHECK((decodes ? both : encoded).routing[layer].experts ==
          join(one.routing[layer].experts, two.routing[layer].experts));
  }
}

TEST_CASE("an untied Switch head is neither shared nor scaled") {
  // logits = h W; the tied model scales h by 1 / sqrt(32), so W / sqrt(32) gives the same.
  LooseCheckpoint checkpoint("switch_transformers");
  std::vector<float> head = checkpoint.values("shared.weight");
  for (float& value : head) value /= std::sqrt(32.0F);
  checkpoint.set("lm_head.weight", {64, 32}, head);
  checkpoint.config["tie_word_embeddings"] = false;
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  const SwitchRun untied = run_pair(ForwardModel(folder.path()), kInput, kOutput);
  const SwitchRun tied =
      run_pair(ForwardModel(golden_folder("switch_transformers")), kInput, kOutput);
  CHECK(largest_difference(untied.decoder.logits, tied.decoder.logits) <= kTolerance);
}

TEST_CASE("a bias of the Switch router is part of its logits") {
  LooseCheckpoint checkpoint("switch_transformers");
  checkpoint.config["router_bias"] = true;
  for (const char* block : {"encoder.block.1.layer.1", "encoder.block.3.layer.1",
                            "decoder.block.1.layer.2", "decoder.block.3.layer.2"})
    checkpoint.set(std::string(block) + ".mlp.router.classifier.bias", {4}, {100, 0, 0, 0});
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  const SwitchRun run = run_pair(ForwardModel(folder.path()), kInput, kOutput);
  // Everyone wants expert 0, which takes expert_capacity = 3 of the 8 tokens.
  CHECK(run.encoder.routing[0].experts == std::vector<std::uint16_t>{0, 0, 0, kNotRouted,
                                                                     kNotRouted, kNotRouted,
                                                                     kNotRouted, kNotRouted});
}

TEST_CASE("sparse layers of Switch follow the step, given or derived") {
  LooseCheckpoint checkpoint("switch_transformers");
  const auto layers_with = [&](const nlohmann::json& changes) {
    LooseCheckpoint changed = checkpoint;
    changed.config.update(changes);
    const test::TemporaryFolder folder;
    changed.write(folder.path());
    return input_error_of([&] { ForwardModel(folder.path()).moe_layer_ids(); });
  };
  // Step 1 makes every layer sparse: layer 0's router is then missing.
  CHECK(layers_with({{"encoder_sparse_step", 1}}).find("block.0.layer.1.mlp.router") !=
        std::string::npos);
  CHECK(
      layers_with({{"num_sparse_decoder_layers", 4}}).find("decoder.block.0.layer.2.mlp.router") !=
      std::string::npos);
  CHECK(layers_with({{"encoder_sparse_step", 2}}) == "no InputError");
}

TEST_CASE("what Switch does not implement is refused by key and value") {
  const auto refused = [](const std::string& key, const nlohmann::json& value) {
    LooseCheckpoint checkpoint("switch_transformers");
    checkpoint.config[key] = value;
    const test::TemporaryFolder folder;
    checkpoint.write(folder.path());
    const std::string message = input_error_of([&] { ForwardModel model(folder.path()); });
    return message.find(key) != std::string::npos;
  };
  CHECK(refused("router_dtype", "bfloat16"));
  CHECK(refused("dense_act_fn", "gated-gelu"));
  CHECK(refused("is_gated_act", true));
  CHECK(refused("num_experts_per_tok", 2));
  CHECK(refused("relative_attention_max_distance", 2));
  CHECK(refused("relative_attention_num_buckets", 3));
  CHECK(refused("an_unknown_key", 1));
}

TEST_CASE("T5's buckets are exact near, logarithmic far, and one behind the farthest") {
  // 32 buckets, causal: 0 .. 15 exact; 16 + floor(ln(d / 16) / ln(128 / 16) * 16) beyond.
  const BucketParameters causal{32, 128, false};
  CHECK(relative_bucket(causal, 3) == 0);  // a key behind the query: never seen, bucket 0
  CHECK(relative_bucket(causal, -15) == 15);
  CHECK(relative_bucket(causal, -16) == 16);
  CHECK(relative_bucket(causal, -32) == 21);   // 16 + floor(16 / 3)
  CHECK(relative_bucket(causal, -127) == 31);  // 16 + floor(15.94)
  CHECK(relative_bucket(causal, -5000) == 31);
  // Both ways: 16 a side, 8 of them exact; keys behind the query begin at 16.
  const BucketParameters both{32, 128, true};
  CHECK(relative_bucket(both, 0) == 0);
  CHECK(relative_bucket(both, -7) == 7);
  CHECK(relative_bucket(both, 7) == 23);
  CHECK(relative_bucket(both, -16) == 10);  // 8 + ln 2 / ln 16 * 8
  CHECK(relative_bucket(both, 16) == 26);
  CHECK(relative_bucket(both, 4000) == 31);
}

TEST_CASE("Switch's dense_act_fn may be any of the plain activations") {
  const auto logits_of = [](const char* name, float stretch) {
    LooseCheckpoint checkpoint("switch_transformers");
    checkpoint.config["dense_act_fn"] = name;
    for (const auto& [tensor, stored] : LooseCheckpoint(checkpoint).tensors) {
      const bool up = tensor.ends_with("wi.weight");
      if (!up && !tensor.ends_with("wo.weight")) continue;
      std::vector<float> values = checkpoint.values(tensor);
      for (float& value : values) value *= up ? stretch : 1 / stretch;
      checkpoint.set(tensor, stored.shape, values);
    }
    const test::TemporaryFolder folder;
    checkpoint.write(folder.path());
    return run_pair(ForwardModel(folder.path()), {5, 9, 33, 2, 60}, {0, 7, 41}).decoder.logits;
  };
  const std::vector<float> exact = logits_of("gelu", 1);
  // The approximations of gelu: by tanh, and x sigmoid(1.702 x) (arXiv 1606.08415).
  const double by_tanh = largest_difference(exact, logits_of("gelu_new", 1));
  const double by_sigmoid = largest_difference(exact, logits_of("silu", 1.702F));
  CHECK(by_tanh > 0);
  CHECK(by_tanh < by_sigmoid);
  CHECK(by_sigmoid < largest_difference(exact, logits_of("relu", 1)));
  CHECK(logits_of("gelu_pytorch_tanh", 1) == logits_of("gelu_new", 1));
  CHECK(logits_of("swish", 1) == logits_of("silu", 1));
}

}  // namespace
}  // namespace moesim
