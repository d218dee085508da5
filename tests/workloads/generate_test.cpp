// Generation: greedy against recomputation, sampling against its distribution.
#include "workloads/forward/generate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

const std::vector<float> kLogits{0.5F, 2.0F, -1.0F, 2.0F, 0.0F, -30.0F};

std::vector<int> counts_of(const Sampling& sampling, int draws) {
  std::vector<int> counts(kLogits.size());
  Random random(7);
  for (int i = 0; i < draws; ++i)
    ++counts[static_cast<std::size_t>(choose_token(kLogits, sampling, random))];
  return counts;
}

// Pearson's chi-square of counts against probabilities.
double chi_square(const std::vector<int>& counts, const std::vector<double>& weights, int draws) {
  double total = 0, sum = 0;
  for (const double weight : weights) total += weight;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = draws * weights[i] / total;
    if (expected > 0) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    if (expected == 0) CHECK(counts[i] == 0);
  }
  return sum;
}

TEST_CASE("greedy generation is the argmax of the whole text run again for every token") {
  for (const char* golden : {"mixtral", "qwen3_next", "nemotron_h", "deepseek_v2"}) {
    CAPTURE(golden);
    const ForwardModel model(golden_folder(golden));
    const std::vector<std::int32_t> prompt{3, 1, 4, 1, 5};
    std::vector<std::int32_t> whole = prompt;
    for (int i = 0; i < 6; ++i) {
      const ForwardOutput output = run_tokens(model, whole);
      const auto last = output.logits.end() - model.vocabulary();
      whole.push_back(
          static_cast<std::int32_t>(std::max_element(last, output.logits.end()) - last));
    }
    std::vector<std::int32_t> heard;
    const auto tokens =
        generate(model, prompt,
                 {.tokens = 6, .threads = 2, .on_token = [&](int id) { heard.push_back(id); }});
    CHECK(tokens == std::vector<std::int32_t>(whole.begin() + 5, whole.end()));
    CHECK(heard == tokens);
    // Stopping at the second token's id ends behind its first appearance.
    const auto stopped = generate(model, prompt, {.tokens = 6, .stops = {tokens[1]}});
    const auto first = std::find(tokens.begin(), tokens.end(), tokens[1]);
    CHECK(stopped == std::vector<std::int32_t>(tokens.begin(), first + 1));
  }
}

TEST_CASE("an encoder-decoder model generates from its encoder's reading of the prompt") {
  const ForwardModel model(golden_folder("switch_transformers"));
  const std::vector<std::int32_t> prompt{3, 1, 4};
  const auto tokens = generate(model, prompt, {.tokens = 3, .threads = 1});
  std::vector<std::int32_t> decoder{model.decoder_start()};
  for (const std::int32_t token : tokens) {
    const auto cache = model.new_cache();
    const ForwardModel::Request request{prompt, cache.get()};
    model.encode({&request, 1}, {.threads = 1});
    const auto logits =
        model.run(decoder, *cache, {.threads = 1, .logits = KeepLogits::last}).logits;
    CHECK(token == std::max_element(logits.begin(), logits.end()) - logits.begin());
    decoder.push_back(token);
  }
}

TEST_CASE("greedy takes the lowest id among equal logits") {
  Random random(1);
  CHECK(choose_token(kLogits, {}, random) == 1);
}

TEST_CASE("sampled tokens follow the softmax at their temperature") {
  constexpr int kDraws = 100000;
  for (const double temperature : {0.5, 1.0, 2.0}) {
    CAPTURE(temperature);
    const Sampling sampling{.greedy = false, .temperature = temperature};
    std::vector<double> weights;
    for (const float logit : kLogits) weights.push_back(std::exp(logit / temperature));
    weights.back() = 0;  // e^-15 of the largest or less: 0.03 draws or fewer
    // 99.9 % of chi-square with 4 degrees of freedom lies below 18.47.
    CHECK(chi_square(counts_of(sampling, kDraws), weights, kDraws) < 18.47);
  }
}

TEST_CASE("top-k and top-p leave the likeliest tokens, in the proportions they had") {
  constexpr int kDraws = 100000;
  const double e2 = std::exp(2.0), e05 = std::exp(0.5);
  // The three largest are ids 1, 3 and 0: 2 degrees of freedom, 99.9 % below 13.82.
  CHECK(chi_square(counts_of({.greedy = false, .top_k = 3}, kDraws), {e05, e2, 0, e2, 0, 0},
                   kDraws) < 13.82);
  // Of the whole 2 e^2 + e^0.5 + 1 + e^-1 = 17.79, ids 1 and 3 hold .83 and with id 0 .92.
  CHECK(chi_square(counts_of({.greedy = false, .top_p = 0.9}, kDraws), {e05, e2, 0, e2, 0, 0},
                   kDraws) < 13.82);
  CHECK(chi_square(counts_of({.greedy = false, .top_p = 0.8}, kDraws), {0, e2, 0, e2, 0, 0},
                   kDraws) < 10.83);  // 1 degree of freedom
  // Ties go to the lower id.
  CHECK(counts_of({.greedy = false, .top_k = 1}, 100) == std::vector<int>{0, 100, 0, 0, 0, 0});
  CHECK(counts_of({.greedy = false, .top_p = 0.01}, 100) == std::vector<int>{0, 100, 0, 0, 0, 0});
}

TEST_CASE("sampling is reproducible by seed, and requests draw apart") {
  const ForwardModel model(golden_folder("mixtral"));
  const std::vector<std::int32_t> prompt{3, 1, 4, 1, 5};
  const auto tokens = [&](std::uint64_t seed, int threads) {
    return generate(model, prompt,
                    {.tokens = 12,
                     .sampling = {.greedy = false, .temperature = 3, .seed = seed},
                     .threads = threads});
  };
  CHECK(tokens(1, 1) == tokens(1, 3));
  CHECK(tokens(1, 1) != tokens(2, 1));
  CHECK(sampling_random({}, 0).bits() != sampling_random({}, 1).bits());
}

TEST_CASE("generation that cannot be is refused by value") {
  const ForwardModel model(golden_folder("mixtral"));
  const std::vector<std::int32_t> prompt{3}, beyond{model.vocabulary()};
  const auto refusal = [&](const std::vector<std::int32_t>& from, const GenerateOptions& options) {
    return input_error_of([&] { generate(model, from, options); });
  };
  const auto says = [](const std::string& message, const char* part) {
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  says(refusal({}, {}), "holds no tokens");
  says(refusal(prompt, {.tokens = 0}), "tokens is 0");
  says(refusal(beyond, {}), "the vocabulary has ids");
  says(refusal(prompt, {.sampling = {.temperature = -1}}), "temperature is -1");
  says(refusal(prompt, {.sampling = {.top_p = 0}}), "top_p is 0");
  says(refusal(prompt, {.sampling = {.top_k = -2}}), "top_k is -2");
}

TEST_CASE("the tokens that end a text are read from the model's configurations") {
  const test::TemporaryFolder folder;
  CHECK(end_tokens(folder.path()).empty());
  write_file(folder / "config.json", R"({"eos_token_id": 7})");
  CHECK(end_tokens(folder.path()) == std::vector<std::int32_t>{7});
  write_file(folder / "generation_config.json", R"({"eos_token_id": [5, 6]})");
  CHECK(end_tokens(folder.path()) == std::vector<std::int32_t>{5, 6});
}

}  // namespace
}  // namespace moesim
