// Balance losses against the public implementations' own values and against closed forms.
#include "workloads/routers/balance_losses.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

double value_of(const BalanceLosses& losses, const std::string& name) {
  for (const BalanceLoss& loss : losses.values())
    if (loss.name == name) return loss.value;
  return std::nan("");
}

BalanceLosses losses_of(const std::string& golden, const nlohmann::json& expected) {
  const ForwardModel model(golden_folder(golden));
  BalanceLosses losses(expected["layers"].size(), static_cast<std::size_t>(model.experts()),
                       static_cast<std::size_t>(model.top_k()));
  for (std::int64_t prompt = 0; prompt < 2; ++prompt) {
    const auto output = run_tokens(
        model,
        expected["input_ids"][static_cast<std::size_t>(prompt)].get<std::vector<std::int32_t>>());
    for (std::size_t layer = 0; layer < output.routing.size(); ++layer)
      losses.add(layer, prompt, output.routing[layer].router_logits, output.routing[layer].experts,
                 output.routing[layer].weights);
    losses.end_request(prompt);
  }
  return losses;
}

TEST_CASE("the hub's loss equals what transformers computed") {
  for (const char* name : {"mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "gpt_oss", "qwen3_next"}) {
    CAPTURE(name);
    const auto expected =
        nlohmann::json::parse(read_text_file(golden_folder(name) + "/expected.json"));
    const BalanceLosses losses = losses_of(name, expected);
    CHECK(std::abs(value_of(losses, "hub") - expected["load_balancing_loss"].get<double>()) < 1e-5);
    CHECK(std::abs(value_of(losses, "z") - expected["z_loss"].get<double>()) < 5e-5);
  }
}

// 4 experts, 8 tokens, top-2; equal logits; choices dealt round.
TEST_CASE("an even router has every loss at its balanced value") {
  BalanceLosses losses(2, 4, 2);
  const std::vector<float> logits(8 * 4, 1.5F), weights(8 * 2, 0.5F);
  std::vector<std::uint16_t> chosen;
  for (std::uint16_t token = 0; token < 8; ++token)
    for (const int place : {0, 1})
      chosen.push_back(static_cast<std::uint16_t>((token + 2 * place) % 4));
  for (const std::size_t layer : {0U, 1U}) losses.add(layer, 0, logits, chosen, weights);
  losses.end_request(0);
  for (const BalanceLoss& loss : losses.values()) {
    CAPTURE(loss.name);
    // Equal logits: the hub's own top-k of them always takes experts 0 and 1.
    const double log_sum = 1.5 + std::log(4.0);
    const double balanced = std::isnan(loss.balanced) ? log_sum * log_sum : loss.balanced;
    CHECK(loss.value == doctest::Approx(balanced));
  }
}

TEST_CASE("one expert that takes everything costs as many times more as there are experts") {
  // P_e of the one is p = softmax, so E f P = 4 * 1 * p; with top-1, f = 1 for it.
  BalanceLosses losses(1, 4, 1);
  const std::vector<float> logits{3, 0, 0, 0, 3, 0, 0, 0};
  losses.add(0, 7, logits, std::vector<std::uint16_t>{0, 0}, std::vector<float>{1, 1});
  losses.end_request(7);
  const double p = std::exp(3.0) / (std::exp(3.0) + 3);
  for (const char* name : {"hub", "switch", "megatron"})
    CHECK(value_of(losses, name) == doctest::Approx(4 * p));
  // weights' sums are (2, 0, 0, 0): mean 1/2, variance 3/4
  CHECK(value_of(losses, "importance") == doctest::Approx(3));
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double share = sigmoid(3) / (sigmoid(3) + 3 * sigmoid(0));
  CHECK(value_of(losses, "sequence") == doctest::Approx(4 * share));
}

TEST_CASE("a dropped token counts for the router's shares but for no expert") {
  BalanceLosses losses(1, 2, 1);
  losses.add(0, 0, std::vector<float>{1, 0, 1, 0}, std::vector<std::uint16_t>{0, kNotRouted},
             std::vector<float>{0.7F, 0});
  const double p = std::exp(1.0) / (std::exp(1.0) + 1);
  CHECK(value_of(losses, "switch") == doctest::Approx(2 * 0.5 * p));  // half of the tokens
  CHECK(value_of(losses, "megatron") == doctest::Approx(2 * 1.0 * p));
  CHECK(std::isnan(value_of(losses, "sequence")));  // the request has not ended
}

}  // namespace
}  // namespace moesim
