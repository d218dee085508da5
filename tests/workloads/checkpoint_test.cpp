// Checkpoints in all the forms that are read, and every way in which one can be wrong.
#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

#include "tests/source_dir.h"
#include "tests/workloads/golden.h"

namespace moesim {
namespace {

using Change = std::function<void(LooseCheckpoint&)>;
const std::vector<std::int32_t> kTokens{47, 4, 25, 54, 3, 19, 23, 39, 28, 57, 14, 63};

ForwardOutput run_changed(const std::string& golden, const Change& change) {
  const test::TemporaryFolder folder;
  LooseCheckpoint checkpoint(golden);
  change(checkpoint);
  checkpoint.write(folder.path());
  return run_tokens(ForwardModel(folder.path()), kTokens);
}

ForwardOutput run_golden(const std::string& golden) {
  return run_tokens(ForwardModel(golden_folder(golden)), kTokens);
}

void check_refused(const std::string& golden,
                   const Change& change,
                   const std::vector<std::string>& parts) {
  const std::string message = input_error_of([&] { run_changed(golden, change); });
  CAPTURE(message);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

void check_config_refused(const std::string& golden,
                          const std::string& key,
                          const nlohmann::json& value,
                          const std::string& part) {
  check_refused(golden, [&](LooseCheckpoint& c) { c.config[key] = value; },
                {"config.json", key, part});
}

TEST_CASE("results are bit-identical over thread counts") {
  for (const char* name : {"mixtral", "qwen3_moe", "olmoe", "deepseek_v3_yarn"}) {
    const ForwardModel model(golden_folder(name));
    const ForwardOutput alone = run_tokens(model, kTokens, 1);
    CHECK(same_bits(alone, run_tokens(model, kTokens, 2)));
    CHECK(same_bits(alone, run_tokens(model, kTokens, 3)));
  }
}

TEST_CASE("the reference model's results are bit-identical over thread counts") {
  // 300 tokens: more than two tiles of rows, so that threads really share the work.
  const ForwardModel model(test::source_dir() + "/workloads/reference/model");
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 300; ++i) tokens.push_back(32 + i * i % 90);
  const ForwardOutput alone = run_tokens(model, tokens, 1);
  CHECK(same_bits(alone, run_tokens(model, tokens, 2)));
  CHECK(same_bits(alone, run_tokens(model, tokens, 3)));
  CHECK(same_bits(alone, run_tokens(model, tokens, 1)));
}

TEST_CASE("a prompt longer than one piece decodes to the same as it prefills") {
  // 600 tokens: two pieces; the last three also one by one.
  const ForwardModel model(golden_folder("qwen3_moe"));
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 600; ++i) tokens.push_back(i * i % 64);
  const ForwardOutput prefilled = run_tokens(model, tokens);
  CHECK(prefilled.logits.size() == 600 * 64);
  CHECK(largest_difference(prefilled.logits, run_decoding(model, tokens, 3).logits) <= 5e-5);
}

TEST_CASE("two shards with an index give the same bits as one file") {
  const test::TemporaryFolder folder;
  const LooseCheckpoint checkpoint("deepseek_v3");
  const auto in_first = [](const std::string& name) { return name.size() % 2 == 0; };
  nlohmann::json index;
  for (const auto& entry : checkpoint.tensors)
    index["weight_map"][entry.first] = in_first(entry.first) ? "a.safetensors" : "b.safetensors";
  checkpoint.write_config(folder.path());
  checkpoint.write_tensors(folder.path() + "/a.safetensors", in_first);
  checkpoint.write_tensors(folder.path() + "/b.safetensors",
                           [&](const std::string& name) { return !in_first(name); });
  const std::string index_path = folder.path() + "/model.safetensors.index.json";
  write_file(index_path, index.dump());
  CHECK(same_bits(run_tokens(ForwardModel(folder.path()), kTokens), run_golden("deepseek_v3")));

  index["weight_map"]["lm_head.weight"] = "c.safetensors";
  write_file(index_path, index.dump());
  CHECK(input_error_of([&] { ForwardModel{folder.path()}; }).find("c.safetensors") !=
        std::string::npos);

  index["weight_map"]["lm_head.weight"] =
      in_first("lm_head.weight") ? "b.safetensors" : "a.safetensors";
  write_file(index_path, index.dump());
  CHECK(input_error_of([&] { ForwardModel{folder.path()}; }).find("lm_head.weight is not in") !=
        std::string::npos);

  index["weight_map"]["lm_head.weight"] = "../b.safetensors";
  write_file(index_path, index.dump());
  CHECK(input_error_of([&] { ForwardModel{folder.path()}; }).find("in the same folder") !=
        std::string::npos);
}

TEST_CASE("a BF16 file gives the same bits as its values stored in F32") {
  const auto bf16 =
      run_changed("qwen3_moe", [](LooseCheckpoint& c) { c.round_to_bf16(Dtype::bf16); });
  const auto f32 =
      run_changed("qwen3_moe", [](LooseCheckpoint& c) { c.round_to_bf16(Dtype::f32); });
  CHECK(same_bits(bf16, f32));
  CHECK_FALSE(same_bits(bf16, run_golden("qwen3_moe")));
}

TEST_CASE("tied embeddings give the same bits as a head that equals the embedding") {
  const auto tied = run_changed("mixtral", [](LooseCheckpoint& c) {
    c.config["tie_word_embeddings"] = true;
    c.tensors.erase("lm_head.weight");
  });
  const auto equal = run_changed("mixtral", [](LooseCheckpoint& c) {
    c.tensors["lm_head.weight"] = c.tensors["model.embed_tokens.weight"];
  });
  CHECK(same_bits(tied, equal));
}

TEST_CASE("a missing tensor is named with the file it should be in") {
  check_refused(
      "mixtral",
      [](LooseCheckpoint& c) { c.tensors.erase("model.layers.1.self_attn.k_proj.weight"); },
      {"model.safetensors", "model.layers.1.self_attn.k_proj.weight is missing", "[16, 32]"});
  const test::TemporaryFolder empty;
  LooseCheckpoint("mixtral").write_config(empty.path());
  CHECK(input_error_of([&] { ForwardModel{empty.path()}; }).find("neither model.safetensors") !=
        std::string::npos);
  CHECK(input_error_of([] { ForwardModel{"/nowhere"}; }).find("/nowhere/config.json") !=
        std::string::npos);
}

TEST_CASE("a tensor of the wrong shape is named with found and expected shape") {
  check_refused("mixtral",
                [](LooseCheckpoint& c) {
                  c.tensors["lm_head.weight"].shape = {32, 64};
                },
                {"lm_head.weight", "[32, 64]", "[64, 32]"});
}

TEST_CASE("weights that are not finite are named with their element") {
  const std::string name = "model.layers.0.mlp.experts.3.up_proj.weight";
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()})
    check_refused("qwen3_moe",
                  [&](LooseCheckpoint& c) {
                    auto values = c.values(name);
                    values[77] = bad;
                    c.set(name, {16, 32}, values);
                  },
                  {"model.safetensors", name, "element 77", "finite"});
  check_refused("qwen3_moe",
                [](LooseCheckpoint& c) {
                  auto values = c.values("model.norm.weight");
                  values[5] = NAN;
                  c.set("model.norm.weight", {32}, values);
                },
                {"model.norm.weight", "element 5", "nan"});
}

TEST_CASE("a tensor stored in a type that is not implemented is refused") {
  check_refused("qwen3_moe",
                [](LooseCheckpoint& c) {
                  auto& norm = c.tensors["model.norm.weight"];
                  norm.dtype = Dtype::i32;
                },
                {"model.norm.weight", "I32", "F32, BF16 or F16"});
}

TEST_CASE("a truncated model file is refused") {
  const test::TemporaryFolder folder;
  LooseCheckpoint("olmoe").write(folder.path());
  const std::string path = folder.path() + "/model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  CHECK(input_error_of([&] { ForwardModel{folder.path()}; }).find("truncated") !=
        std::string::npos);
}

TEST_CASE("an id outside the vocabulary is refused") {
  const ForwardModel model(golden_folder("mixtral"));
  const std::string message = input_error_of([&] { run_tokens(model, {1, 2, 64}); });
  CHECK(message.find("token 2 of the input has id 64") != std::string::npos);
  CHECK(message.find("0 to 63") != std::string::npos);
  CHECK(input_error_of([&] { run_tokens(model, {-1}); }).find("id -1") != std::string::npos);
  CHECK(input_error_of([&] { run_tokens(model, {1}, -2); }).find("threads") != std::string::npos);
}

TEST_CASE("a configuration that asks for what is not implemented is refused by key and value") {
  check_config_refused("mixtral", "model_type", "mixtrall", "did you mean \"mixtral\"");
  check_config_refused("mixtral", "hidden_act", "gelu", "gelu");
  check_config_refused("mixtral", "attention_bias", true, "true");
  check_config_refused("mixtral", "rope_scaling", {{"type", "spiral"}, {"factor", 2.0}}, "spiral");
  check_config_refused("olmoe", "clip_qkv", -8.0, "above 0");
  check_config_refused("qwen3_moe", "quantization_config", {{"quant_method", "gptq"}}, "gptq");
  check_config_refused("qwen3_moe", "quantization_config",
                       {{"quant_method", "fp8"}, {"fmt", "e5m2"}}, "e5m2");
  check_config_refused("qwen3_moe", "quantization_config",
                       {{"quant_method", "fp8"}, {"weight_block_size", {64, 64}}}, "64");
  check_config_refused("qwen3_moe", "an_unheard_of_key", 3, "3 is not implemented");
  check_config_refused("deepseek_v3", "scoring_func", "softmax", "softmax");
  check_config_refused("deepseek_v3", "topk_method", "greedy", "greedy");
  check_config_refused("deepseek_v3", "moe_layer_freq", 2, "2");
}

TEST_CASE("a configuration whose sizes contradict each other is refused by key") {
  check_config_refused("mixtral", "num_key_value_heads", 3, "does not divide");
  check_config_refused("mixtral", "num_experts_per_tok", 9, "exceeds the 8 experts");
  check_config_refused("mixtral", "num_attention_heads", 6, "6");
  check_config_refused("qwen3_moe", "head_dim", 7, "even");
  check_config_refused("qwen3_moe", "num_experts", 70000, "65535");
  check_config_refused("qwen3_moe", "mlp_only_layers", {0, 1}, "config.json");
  check_config_refused("qwen3_moe", "hidden_size", 0, "0");
  check_config_refused("deepseek_v3", "n_group", 5, "does not divide");
  check_config_refused("deepseek_v3", "n_group", 16, "one expert a group");
  check_config_refused("deepseek_v3", "topk_group", 5, "exceeds the 4 groups");
  check_config_refused("deepseek_v3", "num_experts_per_tok", 9, "exceeds the 8 experts");
  check_config_refused("deepseek_v3", "first_k_dense_replace", 3, "no layer");
  check_config_refused("deepseek_v3", "qk_rope_head_dim", 3, "even");
  check_config_refused("deepseek_v3_yarn", "rope_scaling", {{"type", "yarn"}}, "factor");
}

TEST_CASE("keys that change nothing are passed over") {
  const auto output = run_changed("qwen3_moe", [](LooseCheckpoint& c) {
    c.config["_name_or_path"] = "somewhere";
    c.config["attention_dropout"] = 0.5;
    c.config["sliding_window"] = 4096;
    c.config["use_sliding_window"] = false;
    c.config["quantization_config"] = nullptr;
    c.config["transformers_version"] = "4.57.1";
  });
  CHECK(same_bits(output, run_golden("qwen3_moe")));
}

}  // namespace
}  // namespace moesim
