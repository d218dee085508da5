// Qwen3.5 has no golden vectors: its class is Qwen3-Next's with other tensors for the same numbers,
// so the golden checkpoint with its tensors taken apart must give the golden results.
#include <doctest/doctest.h>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

const std::vector<std::int32_t> kTokens{5, 61, 0, 17, 33, 2, 48, 9, 12, 40, 7};

using Rows = std::vector<std::vector<float>>;

Rows rows_of(const LooseCheckpoint& checkpoint, const std::string& name) {
  const auto columns = static_cast<std::ptrdiff_t>(checkpoint.tensors.at(name).shape[1]);
  const std::vector<float> values = checkpoint.values(name);
  Rows rows;
  for (auto at = values.begin(); at != values.end(); at += columns)
    rows.emplace_back(at, at + columns);
  return rows;
}

void set_rows(LooseCheckpoint& checkpoint, const std::string& name, const Rows& rows) {
  std::vector<float> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  checkpoint.set(
      name,
      {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows.front().size())},
      values);
}

void take(Rows& to, const Rows& from, std::size_t first, std::size_t count) {
  const auto begin = from.begin() + static_cast<std::ptrdiff_t>(first);
  to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
}

// in_proj_qkvz holds, for each of 2 key heads, 8 rows of q, 8 of k, and 2 value heads' 8 rows of v
// and of z; in_proj_ba 2 of b and 2 of a.
void separate_projections(LooseCheckpoint& checkpoint, const std::string& prefix) {
  const Rows qkvz = rows_of(checkpoint, prefix + "in_proj_qkvz.weight");
  const Rows ba = rows_of(checkpoint, prefix + "in_proj_ba.weight");
  Rows q, k, v, z, b, a;
  for (std::size_t head = 0; head < 2; ++head) {
    take(q, qkvz, head * 48, 8);
    take(k, qkvz, head * 48 + 8, 8);
    take(v, qkvz, head * 48 + 16, 16);
    take(z, qkvz, head * 48 + 32, 16);
    take(b, ba, head * 4, 2);
    take(a, ba, head * 4 + 2, 2);
  }
  q.insert(q.end(), k.begin(), k.end());
  q.insert(q.end(), v.begin(), v.end());
  set_rows(checkpoint, prefix + "in_proj_qkv.weight", q);
  set_rows(checkpoint, prefix + "in_proj_z.weight", z);
  set_rows(checkpoint, prefix + "in_proj_b.weight", b);
  set_rows(checkpoint, prefix + "in_proj_a.weight", a);
  checkpoint.tensors.erase(prefix + "in_proj_qkvz.weight");
  checkpoint.tensors.erase(prefix + "in_proj_ba.weight");
}

// gate_up_proj [8][2 * 12][32] and down_proj [8][32][12].
void fuse_experts(LooseCheckpoint& checkpoint, const std::string& prefix) {
  std::vector<float> up, down;
  const auto append = [&](std::vector<float>& to, const std::string& name) {
    const std::vector<float> values = checkpoint.values(name);
    to.insert(to.end(), values.begin(), values.end());
    checkpoint.tensors.erase(name);
  };
  for (int expert = 0; expert < 8; ++expert) {
    const std::string own = prefix + std::to_string(expert) + ".";
    append(up, own + "gate_proj.weight");
    append(up, own + "up_proj.weight");
    append(down, own + "down_proj.weight");
  }
  checkpoint.set(prefix + "gate_up_proj", {8, 24, 32}, up);
  checkpoint.set(prefix + "down_proj", {8, 32, 12}, down);
}

LooseCheckpoint text_checkpoint() {
  LooseCheckpoint checkpoint("qwen3_next");
  for (int layer = 0; layer < 4; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    if (layer < 3) separate_projections(checkpoint, prefix + "linear_attn.");
    fuse_experts(checkpoint, prefix + "mlp.experts.");
  }
  nlohmann::json& config = checkpoint.config;
  config["model_type"] = "qwen3_5_moe_text";
  config["layer_types"] = {"linear_attention", "linear_attention", "linear_attention",
                           "full_attention"};
  config["rope_parameters"] = {{"rope_type", "default"},
                               {"rope_theta", 10000.0},
                               {"partial_rotary_factor", 0.5},
                               {"mrope_section", {1, 1, 0}},
                               {"mrope_interleaved", true}};
  for (const char* key : {"rope_theta", "partial_rotary_factor", "full_attention_interval",
                          "norm_topk_prob", "decoder_sparse_step"})
    config.erase(key);
  return checkpoint;
}

TEST_CASE("a Qwen3.5 with the golden Qwen3-Next's numbers gives its results") {
  const test::TemporaryFolder folder;
  text_checkpoint().write(folder.path());
  const ForwardOutput golden = run_tokens(ForwardModel(golden_folder("qwen3_next")), kTokens);
  const ForwardModel model(folder.path());
  const ForwardOutput output = run_tokens(model, kTokens);
  CHECK(largest_difference(output.logits, golden.logits) < 1e-5);
  CHECK(largest_difference(run_decoding(model, kTokens, 5).logits, golden.logits) < 1e-5);
  for (std::size_t layer = 0; layer < 4; ++layer)
    CHECK(output.routing[layer].experts == golden.routing[layer].experts);
}

TEST_CASE("with a vision tower the text model lies one level deeper") {
  LooseCheckpoint checkpoint = text_checkpoint();
  std::map<std::string, LooseCheckpoint::Tensor> deeper;
  for (auto& [name, tensor] : checkpoint.tensors)
    deeper[name.starts_with("model.") ? "model.language_model" + name.substr(5) : name] = tensor;
  checkpoint.tensors = deeper;
  checkpoint.config = {{"model_type", "qwen3_5_moe"},
                       {"text_config", checkpoint.config},
                       {"vision_config", {{"depth", 27}}},
                       {"image_token_id", 7}};
  const test::TemporaryFolder nested, plain;
  checkpoint.write(nested.path());
  text_checkpoint().write(plain.path());
  CHECK(same_bits(run_tokens(ForwardModel(nested.path()), kTokens),
                  run_tokens(ForwardModel(plain.path()), kTokens)));

  checkpoint.config["text_config"]["attn_output_gate"] = false;
  checkpoint.write_config(nested.path());
  const std::string error = input_error_of([&] { ForwardModel(nested.path()); });
  CHECK(error.find("attn_output_gate") != std::string::npos);
}

TEST_CASE("full_attention_interval and layer_types say the same") {
  LooseCheckpoint checkpoint("qwen3_next");
  const test::TemporaryFolder listed;
  checkpoint.config["layer_types"] = {"linear_attention", "linear_attention", "linear_attention",
                                      "full_attention"};
  checkpoint.config.erase("full_attention_interval");
  checkpoint.write(listed.path());
  CHECK(same_bits(run_tokens(ForwardModel(listed.path()), kTokens),
                  run_tokens(ForwardModel(golden_folder("qwen3_next")), kTokens)));
  checkpoint.config["layer_types"] = {"linear_attention", "full_attention"};
  checkpoint.write_config(listed.path());
  CHECK(input_error_of([&] { ForwardModel(listed.path()); }).find("4 layers") != std::string::npos);
  checkpoint.config["layer_types"][1] = "sliding_attention";
  checkpoint.write_config(listed.path());
  CHECK(input_error_of([&] { ForwardModel(listed.path()); }) != "no InputError");
}

TEST_CASE("key heads that do not divide the value heads are refused") {
  LooseCheckpoint checkpoint("qwen3_next");
  const test::TemporaryFolder folder;
  checkpoint.config["linear_num_key_heads"] = 3;
  checkpoint.write(folder.path());
  const std::string error = input_error_of([&] { ForwardModel(folder.path()); });
  CHECK(error.find("3 key heads do not divide 4 value heads") != std::string::npos);
}

}  // namespace
}  // namespace moesim
