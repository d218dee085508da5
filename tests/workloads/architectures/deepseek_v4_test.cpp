// DeepSeek-V4 against a naive decoder.
#include "tests/workloads/architectures/naive_deepseek_v4.h"

namespace moesim {
namespace {

using namespace naive;

nlohmann::json tiny_v4() {
  return {
      {"model_type", "deepseek_v4"},
      {"vocab_size", 40},
      {"hidden_size", 16},
      {"num_hidden_layers", 3},
      {"num_attention_heads", 4},
      {"num_key_value_heads", 1},
      {"head_dim", 12},
      {"qk_rope_head_dim", 4},
      {"q_lora_rank", 10},
      {"sliding_window", 5},
      {"o_groups", 2},
      {"o_lora_rank", 6},
      {"index_n_heads", 3},
      {"index_head_dim", 8},
      {"index_topk", 2},
      {"hc_mult", 3},
      {"hc_sinkhorn_iters", 4},
      {"layer_types",
       {"sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"}},
      {"compress_rates", {{"compressed_sparse_attention", 3}, {"heavily_compressed_attention", 5}}},
      {"num_hash_layers", 1},
      {"rope_theta", 100},
      {"compress_rope_theta", 1000},
      {"n_routed_experts", 6},
      {"num_experts_per_tok", 2},
      {"moe_intermediate_size", 7},
      {"swiglu_limit", 0.8},
      {"routed_scaling_factor", 1.5},
      {"scoring_func", "sqrtsoftplus"}};
}
const std::vector<std::int32_t> kTokens{5, 31, 0, 17, 33, 2, 38, 9, 9, 24, 7, 12, 30, 1, 4, 4, 22};

TEST_CASE("DeepSeek-V4 agrees with a naive decoder on all kinds of layers") {
  TinyModel model(tiny_v4());
  check_against(model, NaiveV4(model).run(kTokens), kTokens);
}

TEST_CASE("DeepSeek-V4 sees every entry while the indexer has few") {
  TinyModel model(tiny_v4());
  model.config["index_topk"] = 100;
  check_against(model, NaiveV4(model).run(kTokens), kTokens);
}

TEST_CASE("DeepSeek-V4's rotations may be written as main and compress") {
  TinyModel model(tiny_v4());
  model.config["rope_parameters"] = {
      {"main", {{"rope_type", "default"}, {"rope_theta", 100}, {"partial_rotary_factor", 0.33}}},
      {"compress", {{"rope_type", "default"}, {"rope_theta", 1000}}}};
  check_against(model, NaiveV4(model).run(kTokens), kTokens);
}

TEST_CASE("DeepSeek-V4 runs in pieces of any size alike") {
  TinyModel model(tiny_v4());
  const Result expected = NaiveV4(model).run(kTokens);
  const test::TemporaryFolder folder;
  model.write(folder.path());
  const ForwardModel product(folder.path());
  const std::span<const std::int32_t> all(kTokens);
  for (const std::size_t piece : {2U, 3U, 4U, 7U}) {
    CAPTURE(piece);
    const auto cache = product.new_cache();
    std::vector<float> logits;
    for (std::size_t first = 0; first < all.size(); first += piece) {
      const auto next = product.run(all.subspan(first, std::min(piece, all.size() - first)), *cache,
                                    {.threads = 2, .logits = KeepLogits::all});
      logits.insert(logits.end(), next.logits.begin(), next.logits.end());
    }
    CHECK(largest_difference(logits, expected.logits) <= 1e-4);
  }
}

TEST_CASE("compress_ratios of 0, 4 and 128 name DeepSeek-V4's kinds of layers") {
  TinyModel model(tiny_v4());
  const Result expected = NaiveV4(model).run(kTokens);
  model.config.erase("layer_types");
  model.config["compress_ratios"] = {0, 4, 128, 0};  // the last is the module for further tokens
  check_against(model, expected, kTokens);
}

TEST_CASE("DeepSeek-V4's attention and streams follow their keys") {
  TinyModel model(tiny_v4());
  NaiveV4(model).run(kTokens);
  CHECK(matters(model, kTokens, {{"sliding_window", 4}}));
  CHECK(matters(model, kTokens, {{"index_topk", 1}}));
  CHECK(matters(model, kTokens, {{"hc_sinkhorn_iters", 1}}));
  CHECK(matters(model, kTokens, {{"rope_theta", 50}}));
  CHECK(matters(model, kTokens, {{"compress_rope_theta", 50}}));
  CHECK(matters(model, kTokens, {{"swiglu_limit", 10}}));
  CHECK(matters(model, kTokens, {{"rms_norm_eps", 0.1}}));
  CHECK(matters(model, kTokens,
                {{"rope_scaling",
                  {{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 8}}}}));
}

TEST_CASE("what DeepSeek-V4 does not implement is refused by key") {
  const auto refused = [](const char* key, const nlohmann::json& value) {
    TinyModel model(tiny_v4());
    model.config[key] = value;
    const test::TemporaryFolder folder;
    model.write(folder.path());
    return input_error_of([&] { ForwardModel product(folder.path()); }).find(key) !=
           std::string::npos;
  };
  CHECK(refused("scoring_func", "softmax"));
  CHECK(refused("norm_topk_prob", false));
  CHECK(refused("num_key_value_heads", 2));
  CHECK(refused("layer_types", {"sliding_attention"}));
  CHECK(refused("layer_types", {"full_attention", "full_attention", "full_attention"}));
  CHECK(refused("mlp_layer_types", {"dense", "moe", "moe"}));
  CHECK(refused("compress_rates", {{"sliding_attention", 2}}));
  CHECK(refused("swiglu_limit", 0));
  CHECK(refused("qk_rope_head_dim", 5));
}

}  // namespace
}  // namespace moesim
