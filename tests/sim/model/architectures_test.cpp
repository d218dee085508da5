// What the readers of each architecture make of its keys: layers, caches, states, refusals.
#include "sim/model/architectures.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/safetensors.h"
#include "tests/source_dir.h"
#include "tests/temporary_folder.h"

using namespace moesim;

namespace {

// The shipped configuration of `name` with the keys of `changes` replaced (null removes one).
std::string changed_message(const std::string& name, const nlohmann::json& changes) {
  nlohmann::json config =
      nlohmann::json::parse(read_text_file(data_path("workloads/models/" + name + ".json")));
  config.merge_patch(changes);
  const test::TemporaryFolder folder;
  write_file(folder / "config.json", config.dump(1));
  try {
    load_model(folder.path());
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::size_t layers_of(const MoeModel& model, AttentionKind kind) {
  return static_cast<std::size_t>(
      std::count_if(model.layers.begin(), model.layers.end(),
                    [&](const LayerShape& layer) { return layer.attention.kind == kind; }));
}

std::int64_t stored_weights(const std::string& path) {
  const SafetensorsFile file(path);
  std::int64_t weights = 0;
  for (const auto& tensor : file.tensors()) weights += tensor.second.elements();
  return weights;
}

}  // namespace

TEST_CASE("counted parameters are the weights of every golden checkpoint") {
  int folders = 0;
  const std::string golden = test::source_dir() + "/tests/data/golden";
  for (const auto& entry : std::filesystem::directory_iterator(golden)) {
    const std::string weights = entry.path().string() + "/model.safetensors";
    if (!std::filesystem::exists(weights)) continue;
    CAPTURE(weights);
    CHECK(count_parameters(load_model(entry.path().string())).total == stored_weights(weights));
    ++folders;
  }
  CHECK(folders >= 5);
}

TEST_CASE("an indexer adds its weights and a key a token to latent attention") {
  const MoeModel v3 = load_model("deepseek-v3"), v32 = load_model("deepseek-v3.2");
  // Queries from 1536 to 64 heads of 128, a key of 128 with a LayerNorm, a weight a head.
  const std::int64_t indexer = 1536 * 64 * 128 + 7168 * 128 + 2 * 128 + 7168 * 64;
  CHECK(count_parameters(v32).total - count_parameters(v3).total == 61 * indexer);
  CHECK((kv_bytes_per_token(v32, 8, 2) - kv_bytes_per_token(v3, 8, 2)).value == 61 * 128 * 2);
}

TEST_CASE("DeepSeek-V4 keeps an entry every 4 or 128 tokens beside a window") {
  const MoeModel model = load_model("deepseek-v4-flash");
  CHECK(model.expert_format == WeightFormat::mxfp4);
  CHECK(model.dense_format == WeightFormat::fp8);
  CHECK(model.moe_layers().size() == 43);
  // Layers 0 and 1 have the window only; then 21 of ratio 4, with index keys, and 20 of 128.
  const double per_token = 21 * (512.0 + 128) / 4 + 20 * 512.0 / 128;
  CHECK(kv_bytes_per_token(model, 1, 2).value == 2 * per_token);
  const double window = 43 * 128 * 512 * 2.0;
  // Value and gate in f32: two blocks of 4 tokens at twice the width, or one of 128.
  const double unfinished = 21 * 2 * 8 * 2 * (512 + 128) * 4.0 + 20 * 2 * 128 * 512 * 4.0;
  CHECK(state_bytes_per_request(model, 1, 2).value == window + unfinished);
  CHECK(model.residual_streams == 4);
  CHECK(changed_message("deepseek-v4-flash", {{"num_key_value_heads", 2}})
            .find("num_key_value_heads: only 1 is implemented") != std::string::npos);
  CHECK(changed_message("deepseek-v4-flash", {{"compress_ratios", {4}}})
            .find("at least num_hidden_layers") != std::string::npos);
}

TEST_CASE("Qwen3-Next keeps a state in three layers of four") {
  const MoeModel model = load_model("qwen3-next-80b-a3b");
  CHECK(layers_of(model, AttentionKind::linear) == 36);
  // 12 layers x 2 heads x (256 + 256) x 2 bytes.
  CHECK(kv_bytes_per_token(model, 1, 2).value == 12 * 2 * 512 * 2);
  // 32 heads of 128 x 128 in f32, three columns of q, k and v channels in bf16.
  const double state = 32 * 128 * 128 * 4.0 + 3 * (2 * 16 * 128 + 32 * 128) * 2.0;
  CHECK(state_bytes_per_request(model, 1, 2).value == 36 * state);
  CHECK(state_bytes_per_request(model, 4, 2).value == 36 * state / 4);
  CHECK(changed_message("qwen3-next-80b-a3b", {{"linear_num_value_heads", 24}})
            .find("must be a multiple of linear_num_key_heads") != std::string::npos);
}

TEST_CASE("a layer of Nemotron-H is one part alone") {
  const MoeModel model = load_model("nemotron-3-super-120b-a12b");
  CHECK(layers_of(model, AttentionKind::mamba) == 40);
  CHECK(layers_of(model, AttentionKind::grouped_query) == 8);
  CHECK(layers_of(model, AttentionKind::none) == 40);
  for (const LayerShape& layer : model.layers) {
    CHECK((layer.attention.kind == AttentionKind::none) == (layer.ffn == FfnKind::moe));
    CHECK(norm_parameters(model, layer) == 4096);
  }
  CHECK(model.expert_hidden() == 1024);
  CHECK(expert_parameters(model) == 2 * 1024 * 2688);  // up and down, in the latent width
  const double state = 128 * 128 * 64 * 4.0 + 3 * (128 * 64 + 2 * 8 * 128) * 2.0;
  CHECK(state_bytes_per_request(model, 1, 2).value == 40 * state);
  CHECK(changed_message("nemotron-3-super-120b-a12b", {{"hybrid_override_pattern", "MEX"}})
            .find("unknown layer 'X' at place 2") != std::string::npos);
  CHECK(changed_message("nemotron-3-super-120b-a12b", {{"num_hidden_layers", 87}})
            .find("must be the length of the layer pattern, 88") != std::string::npos);
  // The list of names stands for the letters.
  nlohmann::json names = nlohmann::json::array();
  for (int i = 0; i < 44; ++i) names.insert(names.end(), {"mamba", "moe"});
  CHECK(changed_message("nemotron-3-super-120b-a12b",
                        {{"hybrid_override_pattern", nullptr}, {"layers_block_type", names}})
            .empty());
}

TEST_CASE("a layer of LongCat-Flash is two attentions, two dense parts and experts beside one") {
  const MoeModel model = load_model("longcat-flash");
  REQUIRE(model.layers.size() == 56);
  CHECK(model.layers[0].ffn == FfnKind::moe);
  CHECK(model.layers[1].ffn == FfnKind::dense);
  for (const LayerShape& layer : model.layers) CHECK(layer.dense_width == 12288);
  // 256 of 768 choices are zero experts: of 12 chosen, 8 have weights on average.
  const ParameterCounts count = count_parameters(model);
  CHECK(count.total - count.active == 28 * (512 - 8) * count.one_expert);
  CHECK(router_parameters(model) == (6144 + 1) * 768);
  CHECK(changed_message("longcat-flash", {{"zero_expert_type", "drop"}}).find("drop") !=
        std::string::npos);
}

TEST_CASE("Llama 4 attends within chunks in three layers of four") {
  const MoeModel model = load_model("llama-4-maverick");
  CHECK(model.layers[0].ffn == FfnKind::dense);
  CHECK(model.layers[0].dense_width == 16384);
  CHECK(model.layers[1].ffn == FfnKind::moe);
  CHECK(model.layers[2].attention.chunked);
  CHECK(!model.layers[3].attention.chunked);
  CHECK(attended_tokens(model.layers[2].attention, 8192, 1) == 1);
  CHECK(attended_tokens(model.layers[2].attention, 8191, 1) == 8192);
  CHECK(attended_tokens(model.layers[3].attention, 8192, 1) == 8193);
}

TEST_CASE("MiMo's windowed layers have heads and sinks of their own") {
  const MoeModel model = load_model("mimo-v2-flash");
  const AttentionShape &full = model.layers[0].attention, &windowed = model.layers[1].attention;
  CHECK(full.kv_heads == 4);
  CHECK(windowed.kv_heads == 8);
  CHECK(windowed.sliding_window == 128);
  CHECK(cache_elements_per_token(windowed, 1) == 8 * (192 + 128));
  CHECK(attention_parameters(full, model.hidden).uncounted == 0);
  CHECK(attention_parameters(windowed, model.hidden).uncounted == 64);
}

TEST_CASE("MiniMax-M3 chooses 16 blocks of 128 tokens by four index heads") {
  const MoeModel model = load_model("minimax-m3");
  CHECK(model.layers[2].attention.index_heads == 0);
  const AttentionShape& sparse = model.layers[3].attention;
  CHECK(sparse.index_heads == 4);
  CHECK(sparse.index_topk == 2048);
  CHECK(cache_elements_per_token(sparse, 1) == 4 * 256 + 128);
  CHECK(attention_parameters(sparse, model.hidden).uncounted ==
        6144 * (4 + 1) * 128 + 2 * 128 + 2 * 128);
}

TEST_CASE("an encoder caches nothing, a decoder attends twice") {
  const MoeModel model = load_model("switch-base-8");
  REQUIRE(model.layers.size() == 24);
  CHECK(model.layers[0].attention.encoder);
  CHECK(model.layers[12].attention.cross);
  CHECK(model.layers[1].ffn == FfnKind::moe);
  CHECK(model.layers[0].ffn == FfnKind::dense);
  CHECK(kv_bytes_per_token(model, 1, 2).value == 12 * 2 * 12 * 64 * 2);
  CHECK(norm_parameters(model, model.layers[12]) == 3 * 768);
}

TEST_CASE("int4 experts take 4.5 bits beside bf16 attention") {
  const MoeModel model = load_model("kimi-k2.5");
  CHECK(model.expert_format == WeightFormat::int4);
  CHECK(model.dense_format == WeightFormat::bf16);
  CHECK(bytes_per_weight(WeightFormat::int4) * 8 == 4.5);
  CHECK(changed_message("kimi-k2.5",
                        {{"quantization_config", {{"ignore", {"re:.*shared_experts.*"}}}}})
            .find("must name both or neither") != std::string::npos);
  CHECK(changed_message("kimi-k2.5", {{"quantization_config", {{"format", "marlin-24"}}}})
            .find("marlin-24") != std::string::npos);
}

TEST_CASE("the language model of a multimodal configuration is read at its text_config") {
  nlohmann::json text =
      nlohmann::json::parse(read_text_file(data_path("workloads/models/qwen3.5-35b-a3b.json")));
  const nlohmann::json whole{{"model_type", "qwen3_5_moe"}, {"text_config", text}};
  const test::TemporaryFolder folder;
  write_file(folder / "config.json", whole.dump());
  CHECK(count_parameters(load_model(folder.path())).total ==
        count_parameters(load_model("qwen3.5-35b-a3b")).total);
}
