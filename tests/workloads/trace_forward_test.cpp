// Texts and the trace made from them.
#include "workloads/forward/trace_forward.h"

#include <doctest/doctest.h>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

const std::vector<DomainRequests> kTexts{{"prose", {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}},
                                         {"code", {{20, 21, 22, 23}}}};

RoutingTrace trace_of(const std::string& golden, const TraceRequest& request) {
  return trace_forward(golden_folder(golden), kTexts, request).trace;
}

template <class T>
std::vector<int> values(std::span<const T> span) {
  return {span.begin(), span.end()};
}

double half_value(std::uint16_t bits) {  // of a half that is neither NaN nor infinite
  const int exponent = bits >> 10, mantissa = bits & 0x3FF;
  return exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
}

TEST_CASE("a forward trace has one row a token and the choices of the pass itself") {
  // prose: chunks of 4, 4 and 3 tokens; code: one of 4. The last two of each are decoded.
  const TraceRequest request{.chunk_tokens = 4, .decode_tokens = 2, .threads = 1};
  const RoutingTrace trace = trace_of("deepseek_v3", request);
  CHECK(trace.header.model == "deepseek_v3");
  CHECK(trace.header.origin == "forward");
  CHECK(trace.header.experts == 16);
  CHECK(trace.header.top_k == 4);
  CHECK(trace.header.layer_ids == std::vector<int>{1, 2});
  CHECK(trace.header.domains == std::vector<std::string>{"code", "prose"});
  CHECK(values(trace.request) == std::vector<int>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3});
  CHECK(values(trace.position) == std::vector<int>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3});
  CHECK(values(trace.step) == std::vector<int>{0, 0, 1, 2, 0, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2});
  CHECK(values(trace.phase) == std::vector<int>{0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1});
  CHECK(values(trace.domain) == std::vector<int>{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0});

  const ForwardModel model(golden_folder("deepseek_v3"));
  const ForwardOutput second = run_tokens(model, {5, 6, 7, 8});  // rows 4 to 7
  for (std::size_t token = 0; token < 4; ++token)
    for (std::size_t layer = 0; layer < 2; ++layer)
      for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t at = ((4 + token) * 2 + layer) * 4 + i;
        const double weight = second.routing[layer].weights[token * 4 + i];
        CHECK(trace.experts[at] == second.routing[layer].experts[token * 4 + i]);
        // A half has 11 significant bits: half a unit is 2^-12 of the value (2^-11 leaves room for
        // the difference between prefill and decode).
        CHECK(std::abs(half_value(trace.weights[at]) - weight) <= std::ldexp(weight, -11));
      }
}

TEST_CASE("a trace does not depend on threads, and tokens_per_domain cuts each text") {
  const TraceRequest one{.tokens_per_domain = 6, .chunk_tokens = 4, .threads = 1};
  const TraceRequest three{.tokens_per_domain = 6, .chunk_tokens = 4, .threads = 3};
  const RoutingTrace a = trace_of("mixtral", one);
  const RoutingTrace b = trace_of("mixtral", three);
  CHECK(a.tokens() == 10);
  CHECK(a.header.data_sha256 == b.header.data_sha256);
  CHECK_FALSE(a.header.data_sha256.empty());
}

TEST_CASE("decoding instead of prefilling gives the same experts") {
  const RoutingTrace prefilled = trace_of("qwen3_moe", {.chunk_tokens = 11});
  const RoutingTrace decoded = trace_of("qwen3_moe", {.chunk_tokens = 11, .decode_tokens = 10});
  CHECK(std::equal(prefilled.experts.begin(), prefilled.experts.end(), decoded.experts.begin(),
                   decoded.experts.end()));
}

// Equal but for steps and phases, and weights by no more than the sums' last bits show in a half.
void check_same_routing(const RoutingTrace& a, const RoutingTrace& b) {
  CHECK(values(a.experts) == values(b.experts));
  CHECK(values(a.request) == values(b.request));
  CHECK(values(a.position) == values(b.position));
  CHECK(values(a.domain) == values(b.domain));
  REQUIRE(a.weights.size() == b.weights.size());
  for (std::size_t i = 0; i < a.weights.size(); ++i)
    CHECK(std::abs(a.weights[i] - b.weights[i]) <= 1);  // halves next to each other
}

TEST_CASE("requests that run in a batch are routed as they are alone") {
  for (const char* golden : {"mixtral", "qwen3_next", "deepseek_v3", "nemotron_h", "gpt_oss"}) {
    CAPTURE(golden);
    TraceRequest request{.chunk_tokens = 4, .decode_tokens = 2, .generate_tokens = 3, .threads = 1};
    const RoutingTrace alone = trace_of(golden, request);
    for (const int batch : {2, 3, 8}) {
      request.batch = batch;
      const RoutingTrace together = trace_of(golden, request);
      check_same_routing(alone, together);
      CHECK(values(alone.step) == values(together.step));
      CHECK(values(alone.phase) == values(together.phase));
    }
  }
}

TEST_CASE("a prefill in chunks is routed as at once and counts a step a chunk") {
  for (const char* golden : {"mixtral", "qwen3_next", "deepseek_v3", "nemotron_h", "gpt_oss"}) {
    CAPTURE(golden);
    const TraceRequest at_once{.chunk_tokens = 11, .decode_tokens = 2, .threads = 1};
    TraceRequest chunked = at_once;
    chunked.prefill_chunk_tokens = 4;
    const RoutingTrace trace = trace_of(golden, chunked);
    check_same_routing(trace_of(golden, at_once), trace);
    // prose: 9 prefilled tokens are pieces of 4, 4 and 1; code: 2 are one piece.
    CHECK(values(trace.step) == std::vector<int>{0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 0, 0, 1, 2});
    CHECK(values(trace.phase) == std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1});
  }
}

TEST_CASE("generated tokens are traced as decoding the same text would be") {
  const ForwardModel model(golden_folder("olmoe"));
  const std::vector<std::int32_t> prompt{1, 2, 3, 4, 5};
  std::vector<std::int32_t> whole = prompt;
  for (int i = 0; i < 4; ++i) {  // greedy, from scratch each time
    const ForwardOutput output = run_tokens(model, whole);
    const auto last = output.logits.end() - model.vocabulary();
    whole.push_back(static_cast<std::int32_t>(std::max_element(last, output.logits.end()) - last));
  }
  const ForwardTrace generated =
      trace_forward(model, "olmoe", {{"prose", {prompt}}}, {.generate_tokens = 4, .threads = 1});
  const ForwardTrace decoded =
      trace_forward(model, "olmoe", {{"prose", {whole}}}, {.decode_tokens = 4, .threads = 1});
  CHECK(generated.trace.header.data_sha256 == decoded.trace.header.data_sha256);
  CHECK(generated.trace.tokens() == 9);
}

TEST_CASE("recorded layers are a slice of the whole trace, and no layer behind them is loaded") {
  const TraceRequest all{.chunk_tokens = 4, .decode_tokens = 1, .threads = 1};
  const RoutingTrace whole = trace_of("mixtral", all);
  REQUIRE(whole.header.layer_ids == std::vector<int>{0, 1});
  const test::TemporaryFolder folder;
  LooseCheckpoint cut("mixtral");
  std::erase_if(cut.tensors, [](const auto& entry) {
    return entry.first.find("model.layers.1.") != std::string::npos;
  });
  cut.write(folder.path());
  TraceRequest first = all, second = all;
  first.end_layer = 1;
  second.first_layer = 1;
  const RoutingTrace from_cut = trace_forward(folder.path(), kTexts, first).trace;
  const RoutingTrace rest = trace_of("mixtral", second);
  CHECK(from_cut.header.layer_ids == std::vector<int>{0});
  CHECK(rest.header.layer_ids == std::vector<int>{1});
  REQUIRE(from_cut.tokens() == whole.tokens());
  for (std::size_t token = 0; token < whole.tokens(); ++token) {
    CHECK(values(from_cut.choice(token, 0)) == values(whole.choice(token, 0)));
    CHECK(values(rest.choice(token, 0)) == values(whole.choice(token, 1)));
  }
}

TEST_CASE("an encoder's tokens are prefill rows, its decoder's are decode rows") {
  // 5 tokens: 3 go to the encoder, then the decoder reads its start, 2 tokens and 1 generated one.
  const ForwardModel model(golden_folder("switch_transformers"));
  const TraceRequest request{
      .chunk_tokens = 5, .decode_tokens = 2, .generate_tokens = 1, .threads = 1};
  const RoutingTrace trace =
      trace_forward(model, "switch", {{"prose", {{1, 2, 3, 4, 5}}}}, request).trace;
  CHECK(values(trace.position) == std::vector<int>{0, 1, 2, 3, 4, 5, 6});
  CHECK(values(trace.phase) == std::vector<int>{0, 0, 0, 1, 1, 1, 1});
  CHECK(values(trace.step) == std::vector<int>{0, 0, 0, 1, 2, 3, 4});
  const auto cache = model.new_cache();
  const std::vector<std::int32_t> prompt{1, 2, 3};
  const ForwardModel::Request encoded{prompt, cache.get()};
  const ForwardOutput encoder = model.encode({&encoded, 1}, {.threads = 1});
  const std::vector<std::int32_t> started{model.decoder_start(), 4, 5};
  const ForwardOutput decoder = model.run(started, *cache, {.threads = 1});
  for (std::size_t layer = 0; layer < trace.moe_layers(); ++layer) {
    const bool of_encoder = !encoder.routing[layer].experts.empty();
    CHECK(of_encoder == decoder.routing[layer].experts.empty());
    for (std::size_t token = 0; token < 3; ++token) {
      const std::uint16_t in_encoder =
          of_encoder ? encoder.routing[layer].experts[token] : kNotRouted;
      const std::uint16_t in_decoder =
          of_encoder ? kNotRouted : decoder.routing[layer].experts[token];
      CHECK(trace.choice(token, layer)[0] == in_encoder);
      CHECK(trace.choice(3 + token, layer)[0] == in_decoder);
    }
  }
}

TEST_CASE("the losses of a trace do not depend on how its requests were cut") {
  const auto losses = [](const TraceRequest& request) {
    return trace_forward(golden_folder("olmoe"), kTexts, request).losses.values();
  };
  const auto alone = losses({.chunk_tokens = 11, .threads = 1});
  const auto cut = losses({.chunk_tokens = 11,
                           .prefill_chunk_tokens = 3,
                           .batch = 2,
                           .decode_tokens = 4,
                           .threads = 1});
  REQUIRE(alone.size() == cut.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    CAPTURE(alone[i].name);
    CHECK(alone[i].value == doctest::Approx(cut[i].value).epsilon(1e-5));
  }
}

TEST_CASE("trace requests that cannot be met are refused by value") {
  const auto refusal = [&](const char* golden, const TraceRequest& request) {
    return input_error_of([&] { trace_of(golden, request); });
  };
  const auto says = [](const std::string& message, const char* part) {
    CAPTURE(message);
    CHECK(message.find(part) != std::string::npos);
  };
  says(refusal("mixtral", {.chunk_tokens = 0}), "chunk_tokens is 0");
  says(refusal("mixtral", {.chunk_tokens = 4, .decode_tokens = 4}), "0 to 3");
  says(refusal("mixtral", {.tokens_per_domain = -1}), "tokens_per_domain");
  says(refusal("mixtral", {.batch = 0}), "batch is 0");
  says(refusal("mixtral", {.generate_tokens = -1}), "generate_tokens is -1");
  says(refusal("mixtral", {.first_layer = 7}), "no MoE layer from layer 7");
  says(refusal("mixtral", {.end_layer = 9}), "layers 0:9");
  says(refusal("mixtral", {.sampling = {.temperature = 0}}), "temperature is 0");
  says(refusal("switch_transformers", {.prefill_chunk_tokens = 2}), "reads a request at once");
}

}  // namespace
}  // namespace moesim
