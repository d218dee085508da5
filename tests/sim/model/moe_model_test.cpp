// Parameter counts, cache bytes and refusals of model configurations.
#include "sim/model/moe_model.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"

using namespace moesim;

namespace {

std::int64_t computed(const JsonNode& config, const std::string& key) {
  return config.at("_computed").at(key).as_int(0, std::int64_t{1} << 50);
}

// A configuration written to a temporary folder for one test.
class TemporaryConfig {
 public:
  explicit TemporaryConfig(const std::string& text)
      : folder_(std::filesystem::temp_directory_path() /
                ("moesim_model_test_" + std::to_string(std::hash<std::string>{}(text)))) {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "config.json") << text;
  }
  ~TemporaryConfig() { std::filesystem::remove_all(folder_); }
  TemporaryConfig(const TemporaryConfig&) = delete;
  TemporaryConfig& operator=(const TemporaryConfig&) = delete;
  std::string path() const { return folder_.string(); }

 private:
  std::filesystem::path folder_;
};

std::string qwen2_config(const std::string& more) {
  return R"({"model_type": "qwen2_moe", "vocab_size": 64, "hidden_size": 32,
 "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
 "intermediate_size": 64, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 24,
 "num_experts": 12, "num_experts_per_tok": 3, "mlp_only_layers": [1])" +
         more + "}";
}

std::string message_of(const std::string& name_or_path) {
  try {
    load_model(name_or_path);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every shipped model has the parameters its file states") {
  const auto names = model_names();
  CHECK(names.size() >= 41);
  for (const std::string& name : names) {
    CAPTURE(name);
    const JsonNode config = read_json_file(data_path("workloads/models/" + name + ".json"));
    const MoeModel model = load_model(name);
    const ParameterCounts count = count_parameters(model);
    CHECK(count.total == computed(config, "total"));
    CHECK(count.active == computed(config, "active"));
    CHECK(count.active_without_input_embedding ==
          computed(config, "active_without_input_embedding"));
    CHECK(count.one_expert == computed(config, "expert"));
    CHECK(count.embedding == computed(config, "embed"));
    CHECK(count.head == computed(config, "head"));
    const auto moe_layers = static_cast<std::int64_t>(model.moe_layers().size());
    CHECK(moe_layers == computed(config, "moe_layers"));
    // Encoder-decoders state the weights of one attention in place of these two.
    if (model.encoder_layers == 0) {
      CHECK(shared_expert_parameters(model) == computed(config, "shared"));
      CHECK(router_parameters(model) == computed(config, "router"));
    } else {
      AttentionShape alone = model.layers.front().attention;
      alone.relative_buckets = 0;
      CHECK(attention_parameters(alone, model.hidden).split == computed(config, "attn"));
    }
    CHECK(count.router == moe_layers * router_parameters(model));
    CHECK(config.has("_source"));
    CHECK(config.has("_published"));
  }
}

TEST_CASE("computed totals agree with the published ones as far as those are rounded") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const JsonNode published =
        read_json_file(data_path("workloads/models/" + name + ".json")).at("_published");
    if (!published.find("total_b")) continue;  // MiniMax-M3: none found
    const double total = static_cast<double>(count_parameters(load_model(name)).total) / 1e9;
    // The loosest rounding is Kimi K2's "1T" for 1.026e12.
    CHECK(total == doctest::Approx(published.at("total_b").as_number()).epsilon(0.03));
  }
}

TEST_CASE("a token's KV cache follows from heads, or from the latent width") {
  // 61 layers x (512 latent + 64 rotary) x 2 bytes, whatever the tensor parallelism.
  const MoeModel deepseek = load_model("deepseek-v3");
  CHECK(kv_bytes_per_token(deepseek, 1, 2).value == 61 * (512 + 64) * 2);
  CHECK(kv_bytes_per_token(deepseek, 8, 2).value == 70272);
  // 32 layers x 2 x 8 heads x 128 x 2 bytes.
  CHECK(kv_bytes_per_token(load_model("mixtral-8x7b"), 1, 2).value == 131072);
  // 94 layers x 2 x (4 / 4) head x 128 x 2 bytes; at TP8 a head cannot be split further.
  const MoeModel qwen = load_model("qwen3-235b-a22b");
  CHECK(kv_bytes_per_token(qwen, 4, 2).value == 48128);
  CHECK(kv_bytes_per_token(qwen, 8, 2).value == 48128);
}

TEST_CASE("Qwen2-MoE counts its gate, its shared expert and its dense layer") {
  const TemporaryConfig config(qwen2_config(""));
  const MoeModel model = load_model(config.path());
  const ParameterCounts count = count_parameters(model);
  CHECK(model.name == std::filesystem::path(config.path()).filename().string());
  CHECK(model.layers[1].ffn == FfnKind::dense);
  const std::int64_t expert = 3 * 32 * 16, shared = 3 * 32 * 24 + 32, router = 32 * 12;
  const std::int64_t attention = 32 * (4 + 2 + 2) * 8 + (4 + 2 + 2) * 8 + 32 * 32;
  CHECK(count.total == 2 * 64 * 32 + 3 * (attention + 2 * 32) + 32 + 3 * 32 * 64 +
                           2 * (12 * expert + shared + router));
  CHECK(count.total - count.active == 2 * (12 - 3) * expert);
}

TEST_CASE("quantisation decides the stored formats") {
  const MoeModel deepseek = load_model("deepseek-v3");
  CHECK(deepseek.expert_format == WeightFormat::fp8);
  CHECK(deepseek.dense_format == WeightFormat::fp8);
  const MoeModel gpt_oss = load_model("gpt-oss-20b");
  CHECK(gpt_oss.expert_format == WeightFormat::mxfp4);
  CHECK(gpt_oss.dense_format == WeightFormat::bf16);
  CHECK(bytes_per_weight(WeightFormat::mxfp4) * 8 == 4.25);
  CHECK(bytes_per_weight(WeightFormat::fp8) * 128 * 128 == 128 * 128 + 4);
  const TemporaryConfig f32(qwen2_config(R"(, "torch_dtype": "float32")"));
  CHECK(load_model(f32.path()).expert_format == WeightFormat::f32);
}

TEST_CASE("what a list of exceptions names stays as it was") {
  const auto formats = [](const std::string& quantization) {
    const TemporaryConfig config(qwen2_config(", \"quantization_config\": " + quantization));
    const MoeModel model = load_model(config.path());
    return to_text(model.expert_format) + " " + to_text(model.dense_format) + " " +
           to_text(model.attention_format.value_or(model.dense_format));
  };
  CHECK(formats(R"({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": true})") ==
        "int4_g128_zero int4_g128_zero int4_g128_zero");
  CHECK(formats(R"({"quant_method": "modelopt", "quant_algo": "NVFP4",
                    "ignore": ["lm_head", "model.layers.0.self_attn*"]})") == "nvfp4 nvfp4 bf16");
  CHECK(formats(R"({"quant_method": "bitnet", "modules_to_not_convert": ["lm_head"]})") ==
        "ternary ternary ternary");
  CHECK(formats(
            R"({"quant_method": "fp8", "ignored_layers": ["model.layers.1.self_attn.q_proj"]})") ==
        "fp8 fp8 bf16");
  CHECK(formats(R"({"quant_method": "compressed-tensors", "format": "float-quantized"})") ==
        "fp8 fp8 fp8");
  CHECK(bytes_per_weight(WeightFormat::int4_g128_zero) * 128 * 8 == 128 * 4 + 16 + 4);
  CHECK(bytes_per_weight(WeightFormat::nvfp4) * 16 * 8 == 16 * 4 + 8);
  CHECK(bytes_per_weight(WeightFormat::mxfp8) * 32 * 8 == 32 * 8 + 8);
  CHECK(bytes_per_weight(WeightFormat::ternary) * 4 == 1);
  CHECK(bytes_per_weight(WeightFormat::tq1_0) * 256 == 48 + 4 + 2);   // llama.cpp's block_tq1_0
  CHECK(bytes_per_weight(WeightFormat::iq1_s) * 256 == 2 + 32 + 16);  // block_iq1_s
  for (const std::string& name : weight_format_names())
    CHECK(to_text(weight_format_named(name)) == name);
}

TEST_CASE("a prediction module is the last attending layer with experts") {
  CHECK(load_model("deepseek-v3").mtp_layers.size() == 1);
  CHECK(load_model("mixtral-8x7b").mtp_layers.empty());
  const MoeModel hybrid = load_model("qwen3.5-35b-a3b");
  REQUIRE(hybrid.mtp_layers.size() == 1);
  CHECK(hybrid.mtp_layers[0].attention.kind == AttentionKind::grouped_query);
  CHECK(hybrid.mtp_layers[0].ffn == FfnKind::moe);
  const MoeModel parts = load_model("nemotron-3-super-120b-a12b");  // "*E"
  REQUIRE(parts.mtp_layers.size() == 2);
  CHECK(parts.mtp_layers[0].ffn == FfnKind::none);
  CHECK(parts.mtp_layers[1].ffn == FfnKind::moe);
}

TEST_CASE("GPT-OSS alternates windows and full attention") {
  const MoeModel model = load_model("gpt-oss-20b");
  CHECK(model.layers[0].attention.sliding_window == 128);
  CHECK(model.layers[1].attention.sliding_window == 0);
}

TEST_CASE("an unknown model is refused with the nearest name") {
  const std::string message = message_of("deepsek-v3");
  CHECK(message.find("unknown model \"deepsek-v3\"") != std::string::npos);
  CHECK(message.find("did you mean \"deepseek-v3\"?") != std::string::npos);
}

TEST_CASE("a configuration that is not implemented is refused at its key") {
  const TemporaryConfig other(R"({"model_type": "llama", "hidden_size": 8, "vocab_size": 8})");
  CHECK(message_of(other.path()).find("model_type: model type \"llama\" is not implemented") !=
        std::string::npos);
  const TemporaryConfig windowed(qwen2_config(R"(, "use_sliding_window": true)"));
  CHECK(message_of(windowed.path()).find("use_sliding_window: true is not implemented") !=
        std::string::npos);
  const TemporaryConfig packed(qwen2_config(R"(, "quantization_config": {"quant_method": "hqq"})"));
  CHECK(message_of(packed.path()).find("hqq") != std::string::npos);
}

TEST_CASE("a missing or impossible shape is refused at its key") {
  const TemporaryConfig missing(R"({"model_type": "mixtral", "hidden_size": 8})");
  CHECK(message_of(missing.path()).find("vocab_size") != std::string::npos);
  const TemporaryConfig negative(
      R"({"model_type": "mixtral", "hidden_size": -8, "vocab_size": 8})");
  CHECK(message_of(negative.path()).find("hidden_size") != std::string::npos);
  std::string greedy = qwen2_config("");
  greedy.replace(greedy.find("\"num_experts_per_tok\": 3"), 24, "\"num_experts_per_tok\": 13");
  const TemporaryConfig too_many(greedy);
  CHECK(message_of(too_many.path())
            .find("num_experts_per_tok: must be at most the number of "
                  "experts, 12") != std::string::npos);
  CHECK(message_of("/nowhere/model/config.json").find("/nowhere/model/config.json") !=
        std::string::npos);
}
