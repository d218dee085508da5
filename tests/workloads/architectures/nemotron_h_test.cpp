// What a Nemotron-H configuration may change, reduced to its golden model or to plain loops.
#include <doctest/doctest.h>

#include "tests/workloads/architectures/tiny_checkpoint.h"

namespace moesim {
namespace {

const std::vector<std::int32_t> kTokens{5, 61, 0, 17, 33, 2, 48, 9, 12, 40, 7};

ForwardOutput run_nemotron(const std::function<void(LooseCheckpoint&)>& change) {
  LooseCheckpoint checkpoint("nemotron_h");
  change(checkpoint);
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  return run_tokens(ForwardModel(folder.path()), kTokens);
}

std::string nemotron_error(const char* key, const nlohmann::json& value) {
  return input_error_of([&] { run_nemotron([&](LooseCheckpoint& c) { c.config[key] = value; }); });
}

TEST_CASE("Nemotron-H's pattern and lists of layers say the same") {
  const auto with_list = [](const char* key, const std::vector<std::string>& kinds) {
    return run_nemotron([&](LooseCheckpoint& c) {
      c.config.erase("hybrid_override_pattern");
      c.config.erase("num_hidden_layers");
      c.config[key] = kinds;
    });
  };
  const ForwardOutput golden = run_nemotron([](LooseCheckpoint&) {});
  CHECK(same_bits(golden, with_list("layers_block_type",
                                    {"mamba", "moe", "attention", "moe", "mamba", "mlp"})));
  CHECK(same_bits(golden, with_list("layer_types", {"linear_attention", "moe", "full_attention",
                                                    "moe", "linear_attention", "mlp"})));
}

// The golden model's mixtures with experts in a latent space of 6.
LooseCheckpoint latent_checkpoint() {
  naive::TinyCheckpoint random;
  LooseCheckpoint checkpoint("nemotron_h");
  checkpoint.config["moe_latent_size"] = 6;
  for (const std::string layer : {"1", "3"}) {
    const std::string prefix = "backbone.layers." + layer + ".mixer.";
    random.add_matrix(prefix + "fc1_latent_proj.weight", 6, 32);
    random.add_matrix(prefix + "fc2_latent_proj.weight", 32, 6);
    for (int expert = 0; expert < 8; ++expert) {
      const std::string own = prefix + "experts." + std::to_string(expert) + ".";
      random.add_matrix(own + "up_proj.weight", 16, 6);
      random.add_matrix(own + "down_proj.weight", 6, 16);
    }
  }
  for (const auto& [name, tensor] : random.tensors)
    checkpoint.set(name, tensor.shape, tensor.values);
  return checkpoint;
}

naive::Vector squared_network(const naive::TinyCheckpoint& weights,
                              const std::string& prefix,
                              const naive::Vector& x) {
  naive::Vector inner = weights.times(prefix + "up_proj.weight", x);
  for (double& value : inner) value = value > 0 ? value * value : 0;
  return weights.times(prefix + "down_proj.weight", inner);
}

TEST_CASE("Nemotron-3's experts work in the latent space, its router and shared expert outside") {
  const LooseCheckpoint checkpoint = latent_checkpoint();
  const test::TemporaryFolder folder;
  checkpoint.write(folder.path());
  const LayerRouting block = run_tokens(ForwardModel(folder.path()), kTokens).routing[0];
  naive::TinyCheckpoint weights;
  for (const auto& [name, tensor] : checkpoint.tensors)
    weights.tensors[name] = {tensor.shape, checkpoint.values(name)};
  const std::string prefix = "backbone.layers.1.mixer.";
  std::vector<float> expected;
  for (std::size_t token = 0; token < kTokens.size(); ++token) {
    const auto begin = block.input.begin() + static_cast<std::ptrdiff_t>(token * 32);
    const naive::Vector x(begin, begin + 32);
    const naive::Vector inside = weights.times(prefix + "fc1_latent_proj.weight", x);
    naive::Vector mixed(6, 0.0);
    for (std::size_t i = token * 3; i < token * 3 + 3; ++i) {
      const std::string own = prefix + "experts." + std::to_string(block.experts[i]) + ".";
      naive::add_to(mixed, squared_network(weights, own, inside),
                    static_cast<double>(block.weights[i]));
    }
    naive::Vector y = weights.times(prefix + "fc2_latent_proj.weight", mixed);
    naive::add_to(y, squared_network(weights, prefix + "shared_experts.", x));
    for (const double value : y) expected.push_back(static_cast<float>(value));
  }
  CHECK(largest_difference(block.output, expected) < 1e-4);
}

TEST_CASE("Nemotron-H's keys that its class does not read change nothing") {
  const ForwardOutput golden = run_nemotron([](LooseCheckpoint&) {});
  CHECK(same_bits(golden, run_nemotron([](LooseCheckpoint& c) {
                    c.config["time_step_limit"] = {0.0, 0.1};
                    c.config["attention_bias"] = true;  // and no tensor holds one
                  })));
}

TEST_CASE("Nemotron-H's mlp_bias adds to the dense parts and the shared experts") {
  const auto with_bias = [](float up, float down) {
    return run_nemotron([&](LooseCheckpoint& c) {
      c.config["mlp_bias"] = true;
      for (const char* part : {"1.mixer.shared_experts.", "3.mixer.shared_experts.", "5.mixer."}) {
        const std::string prefix = std::string("backbone.layers.") + part;
        c.set(prefix + "up_proj.bias", {24}, std::vector<float>(24, up));
        c.set(prefix + "down_proj.bias", {32}, std::vector<float>(32, down));
      }
    });
  };
  const ForwardOutput golden = run_nemotron([](LooseCheckpoint&) {}), moved = with_bias(0, 0.5F);
  CHECK(same_bits(golden, with_bias(0, 0)));
  CHECK(largest_difference(golden.logits, with_bias(0.5F, 0).logits) > 1e-3);
  for (std::size_t i = 0; i < golden.routing[0].output.size(); ++i)
    CHECK(moved.routing[0].output[i] == doctest::Approx(golden.routing[0].output[i] + 0.5));
}

TEST_CASE("Nemotron-H refuses by key what it cannot do") {
  CHECK(nemotron_error("hybrid_override_pattern", "MEXEM-").find("\"X\"") != std::string::npos);
  CHECK(nemotron_error("num_hidden_layers", 7).find("6 entries") != std::string::npos);
  CHECK(nemotron_error("hybrid_override_pattern", "MM*-M-").find("mixture") != std::string::npos);
  CHECK(nemotron_error("n_groups", 3).find("n_groups") != std::string::npos);
  CHECK(nemotron_error("mlp_hidden_act", "silu").find("mlp_hidden_act") != std::string::npos);
  LooseCheckpoint latent = latent_checkpoint();
  latent.config["mlp_bias"] = true;
  const test::TemporaryFolder folder;
  latent.write(folder.path());
  CHECK(input_error_of([&] { ForwardModel model(folder.path()); }).find("mlp_bias") !=
        std::string::npos);
  CHECK(nemotron_error("mamba_n_heads", 4).find("mamba_n_heads") != std::string::npos);
}

}  // namespace
}  // namespace moesim
