// What a gpt-oss configuration may leave out or change, reduced to its golden model.
#include <doctest/doctest.h>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

const std::vector<std::int32_t> kTokens{5, 61, 0, 17, 33, 2, 48, 9, 12, 40, 7, 22, 31};

ForwardOutput run_gpt_oss(const std::function<void(LooseCheckpoint&)>& change) {
  LooseCheckpoint checkpoint("gpt_oss");
  change(checkpoint);
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  return run_tokens(ForwardModel(folder.path()), kTokens);
}

std::string gpt_oss_error(const char* key, const nlohmann::json& value) {
  return input_error_of([&] { run_gpt_oss([&](LooseCheckpoint& c) { c.config[key] = value; }); });
}

TEST_CASE("gpt-oss windows every other layer from the first where layer_types is absent") {
  const ForwardOutput golden = run_gpt_oss([](LooseCheckpoint&) {});
  const auto absent = [](LooseCheckpoint& c) { c.config.erase("layer_types"); };
  const auto turned = [](LooseCheckpoint& c) {
    c.config["layer_types"] = {"full_attention", "sliding_attention"};
  };
  CHECK(same_bits(run_gpt_oss(absent), golden));
  CHECK(largest_difference(run_gpt_oss(turned).logits, golden.logits) > 1e-4);
}

TEST_CASE("gpt-oss without rope_scaling has its class's YaRN, with null it has none") {
  const auto with = [](const nlohmann::json& scaling) {
    return run_gpt_oss([&](LooseCheckpoint& c) { c.config["rope_scaling"] = scaling; });
  };
  const ForwardOutput absent =
      run_gpt_oss([](LooseCheckpoint& c) { c.config.erase("rope_scaling"); });
  const nlohmann::json of_class = {
      {"rope_type", "yarn"}, {"factor", 32.0},    {"beta_fast", 32.0},
      {"beta_slow", 1.0},    {"truncate", false}, {"original_max_position_embeddings", 4096}};
  CHECK(same_bits(absent, with(of_class)));
  CHECK(same_bits(with(nullptr), with({{"rope_type", "default"}})));
}

TEST_CASE("gpt-oss: null for head_dim divides the hidden state, absence means 64") {
  // 32 hidden / 4 heads = 8, what the golden model has.
  CHECK(same_bits(run_gpt_oss([](LooseCheckpoint& c) { c.config["head_dim"] = nullptr; }),
                  run_gpt_oss([](LooseCheckpoint&) {})));
  const std::string error =
      input_error_of([] { run_gpt_oss([](LooseCheckpoint& c) { c.config.erase("head_dim"); }); });
  CHECK(error.find("[256, 32]") != std::string::npos);  // q_proj: 4 heads of 64
}

TEST_CASE("gpt-oss without biases runs, its zero biases change nothing") {
  const auto zero = run_gpt_oss([](LooseCheckpoint& c) {
    for (auto& [name, tensor] : c.tensors)
      if (name.ends_with("_proj.bias"))
        std::fill(tensor.data.begin(), tensor.data.end(), std::byte{});
  });
  const auto none = run_gpt_oss([](LooseCheckpoint& c) { c.config["attention_bias"] = false; });
  CHECK(largest_difference(zero.logits, none.logits) == 0);
}

TEST_CASE("gpt-oss refuses by key what it cannot do") {
  CHECK(gpt_oss_error("swiglu_limit", 0).find("swiglu_limit") != std::string::npos);
  CHECK(gpt_oss_error("num_experts_per_tok", 9).find("num_experts_per_tok") != std::string::npos);
  CHECK(gpt_oss_error("hidden_act", "gelu").find("hidden_act") != std::string::npos);
  CHECK(gpt_oss_error("layer_types", {"full_attention"}).find("2 layers") != std::string::npos);
}

}  // namespace
}  // namespace moesim
