// What a gpt-oss configuration may leave out or change, reduced to its golden model.
#include <doctest/doctest.h>

#include "sim/core/random.h"
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

// Experts of width 32 in MXFP4 (OCP Microscaling Formats 1.0): blocks of 32 values, two a byte with
// the earlier one low, each of sign, 2 exponent bits and 1 mantissa bit; a scale 2^(s - 127) a
// block.
class FourBitExperts {
 public:
  FourBitExperts() : checkpoint_("gpt_oss") {
    checkpoint_.config["intermediate_size"] = 32;
    Random random(11);
    for (const std::string layer : {"0", "1"}) {
      const std::string prefix = "model.layers." + layer + ".mlp.experts.";
      add(prefix + "gate_up_proj", 64, random);
      add(prefix + "down_proj", 32, random);
      checkpoint_.set(prefix + "gate_up_proj_bias", {8, 64}, std::vector<float>(8 * 64, 0.1F));
    }
  }
  const LooseCheckpoint& expanded() const { return checkpoint_; }
  LooseCheckpoint packed() const {
    LooseCheckpoint result = checkpoint_;
    for (const auto& [name, tensor] : packed_) {
      result.tensors[name] = tensor;
      result.tensors.erase(name.substr(0, name.rfind('_')));
    }
    return result;
  }

 private:
  // 8 experts of [rows][32]; as float32 each lies transposed.
  void add(const std::string& name, std::size_t rows, Random& random) {
    constexpr float kValues[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
    std::vector<std::byte> blocks, scales;
    std::vector<float> values(8 * rows * 32);
    for (std::size_t row = 0; row < 8 * rows; ++row) {
      const std::uint64_t scale = 121 + random.below(5);  // 2^-6 to 2^-2
      scales.push_back(static_cast<std::byte>(scale));
      for (std::size_t column = 0; column < 32; ++column) {
        const std::uint64_t code = random.below(16);
        if (column % 2 == 0)
          blocks.push_back(static_cast<std::byte>(code));
        else
          blocks.back() |= static_cast<std::byte>(code << 4);
        const float size = std::ldexp(kValues[code % 8], static_cast<int>(scale) - 127);
        values[(row / rows * 32 + column) * rows + row % rows] = code < 8 ? size : -size;
      }
    }
    const auto r = static_cast<std::int64_t>(rows);
    packed_[name + "_blocks"] = {Dtype::u8, {8, r, 1, 16}, blocks};
    packed_[name + "_scales"] = {Dtype::u8, {8, r, 1}, scales};
    checkpoint_.set(name, {8, 32, r}, values);
  }

  LooseCheckpoint checkpoint_;
  std::map<std::string, LooseCheckpoint::Tensor> packed_;
};

TEST_CASE("gpt-oss's four-bit experts are those of the expanded checkpoint") {
  const FourBitExperts experts;
  const test::TemporaryFolder packed, expanded;
  experts.packed().write(packed.path());
  experts.expanded().write(expanded.path());
  const ForwardOutput output = run_tokens(ForwardModel(packed.path()), kTokens);
  const ForwardOutput expected = run_tokens(ForwardModel(expanded.path()), kTokens);
  CHECK(largest_difference(output.logits, expected.logits) < 1e-5);
  CHECK(largest_difference(output.routing[1].output, expected.routing[1].output) < 1e-5);
}

TEST_CASE("gpt-oss refuses by key what it cannot do") {
  CHECK(gpt_oss_error("swiglu_limit", 0).find("swiglu_limit") != std::string::npos);
  CHECK(gpt_oss_error("num_experts_per_tok", 9).find("num_experts_per_tok") != std::string::npos);
  CHECK(gpt_oss_error("hidden_act", "gelu").find("hidden_act") != std::string::npos);
  CHECK(gpt_oss_error("layer_types", {"full_attention"}).find("2 layers") != std::string::npos);
}

}  // namespace
}  // namespace moesim
