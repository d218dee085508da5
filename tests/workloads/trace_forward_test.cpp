// Texts and the trace made from them.
#include <doctest/doctest.h>

#include "tests/workloads/golden.h"

namespace moesim {
namespace {

const std::vector<DomainText> kTexts{{"prose", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
                                     {"code", {20, 21, 22, 23}}};

double half_value(std::uint16_t bits) {  // of a half that is neither NaN nor infinite
  const int exponent = bits >> 10, mantissa = bits & 0x3FF;
  return exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
}

TEST_CASE("a forward trace has one row a token and the choices of the pass itself") {
  // prose: chunks of 4, 4 and 3 tokens; code: one of 4. The last two of each are decoded.
  const TraceRequest request{.chunk_tokens = 4, .decode_tokens = 2, .threads = 1};
  const RoutingTrace trace = trace_forward(golden_folder("deepseek_v3"), kTexts, request);
  CHECK(trace.header.model == "deepseek_v3");
  CHECK(trace.header.origin == "forward");
  CHECK(trace.header.experts == 16);
  CHECK(trace.header.top_k == 4);
  CHECK(trace.header.layer_ids == std::vector<int>{1, 2});
  CHECK(trace.header.domains == std::vector<std::string>{"code", "prose"});
  const auto values = [](auto span) { return std::vector<int>(span.begin(), span.end()); };
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
  const RoutingTrace a = trace_forward(golden_folder("mixtral"), kTexts, one);
  const RoutingTrace b = trace_forward(golden_folder("mixtral"), kTexts, three);
  CHECK(a.tokens() == 10);
  CHECK(a.header.data_sha256 == b.header.data_sha256);
  CHECK_FALSE(a.header.data_sha256.empty());
}

TEST_CASE("decoding instead of prefilling gives the same experts") {
  const RoutingTrace prefilled =
      trace_forward(golden_folder("qwen3_moe"), kTexts, {.chunk_tokens = 11});
  const RoutingTrace decoded =
      trace_forward(golden_folder("qwen3_moe"), kTexts, {.chunk_tokens = 11, .decode_tokens = 10});
  CHECK(std::equal(prefilled.experts.begin(), prefilled.experts.end(), decoded.experts.begin(),
                   decoded.experts.end()));
}

TEST_CASE("texts are read as bytes, by sorted domain") {
  const test::TemporaryFolder folder;
  write_file(folder.path() + "/prose.txt", "a\n");
  write_file(folder.path() + "/code.txt", "\xC3\xA9");
  write_file(folder.path() + "/notes.md", "not a domain");
  const auto texts = read_texts(folder.path(), 256);
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].domain == "code");
  CHECK(texts[0].tokens == std::vector<std::int32_t>{0xC3, 0xA9});
  CHECK(texts[1].domain == "prose");
  CHECK(texts[1].tokens == std::vector<std::int32_t>{'a', '\n'});
  CHECK(read_texts(folder.path() + "/prose.txt", 256).at(0).domain == "prose");
}

TEST_CASE("texts and trace requests that cannot be read are refused") {
  const test::TemporaryFolder folder;
  const auto refusal = [&](const std::string& path, int vocabulary) {
    return input_error_of([&] { read_texts(path, vocabulary); });
  };
  CHECK(refusal(folder.path(), 256).find("holds no <domain>.txt") != std::string::npos);
  CHECK(refusal(folder.path() + "/absent", 256).find("no such file") != std::string::npos);
  CHECK(refusal(folder.path(), 64).find("vocabulary of 256, not 64") != std::string::npos);
  write_file(folder.path() + "/empty.txt", "");
  CHECK(refusal(folder.path(), 256).find("empty.txt") != std::string::npos);

  const auto trace_refusal = [&](const TraceRequest& request) {
    return input_error_of([&] { trace_forward(golden_folder("mixtral"), kTexts, request); });
  };
  CHECK(trace_refusal({.chunk_tokens = 0}).find("chunk_tokens is 0") != std::string::npos);
  CHECK(trace_refusal({.chunk_tokens = 4, .decode_tokens = 4}).find("0 to 3") != std::string::npos);
  CHECK(trace_refusal({.tokens_per_domain = -1}).find("tokens_per_domain") != std::string::npos);
}

}  // namespace
}  // namespace moesim
