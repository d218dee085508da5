// vLLM's arrays of routed experts, one or several, whole or in two parts.
#include <doctest/doctest.h>

#include "sim/io/npy.h"
#include "tests/workloads/traces/importers/import_files.h"

using namespace moesim;
using namespace moesim::test;  // NOLINT(google-build-using-namespace)

namespace {

const std::string kFormat = "vllm_routed_experts";

template <class T>
std::string array_of(NpyType type,
                     const std::vector<std::int64_t>& shape,
                     const std::vector<T>& values) {
  return npy_content(type, shape, std::as_bytes(std::span<const T>(values)));
}

}  // namespace

TEST_CASE("An .npz gives a request a member, prompt and generated parts joined") {
  ImportOptions options;
  options.experts = 64;
  const RoutingTrace trace = import_fixtures({"vllm.npz"}, options);
  // make_dumps.py: "a" has a prompt of 4 tokens and 2 generated ones, whose experts are the first
  // prompt tokens' plus 1; "b" is one array, the first 3 prompt tokens again.
  CHECK(ints(trace.request) == std::vector<int>{0, 0, 0, 0, 0, 0, 1, 1, 1});
  CHECK(ints(trace.position) == std::vector<int>{0, 1, 2, 3, 4, 5, 0, 1, 2});
  CHECK(ints(trace.phase) == std::vector<int>{0, 0, 0, 0, 1, 1, 0, 0, 0});
  CHECK(ints(trace.step) == std::vector<int>{0, 0, 0, 0, 1, 2, 0, 0, 0});
  CHECK(trace.header.experts == 64);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto expert = [&](std::size_t token, std::size_t k) {
      return (7 * layer + 3 * token + 5 * k) % 64;
    };
    for (std::size_t k = 0; k < 2; ++k) {
      if (layer > 0) CHECK(trace.choice(0, layer)[k] == expert(0, k));
      CHECK(trace.choice(3, layer)[k] == expert(3, k));
      CHECK(trace.choice(5, layer)[k] == expert(1, k) + 1);
      CHECK(trace.choice(8, layer)[k] == expert(2, k));
    }
  }
  CHECK(notes_say(trace, "--prompt-tokens"));
}

TEST_CASE("Negative ids are not routed, and layers of zeros were not captured") {
  // 2 tokens, 3 layers, top-2; layer 0 is dense and left at zero, as before vLLM 0.21.
  const std::vector<std::int32_t> ids{0, 0, 3, 1, 2, 4, 0, 0, -1, -1, 5, 0};
  const RoutingTrace trace = import_text(kFormat, array_of(NpyType::i32, {2, 3, 2}, ids));
  CHECK(trace.header.layer_ids == std::vector<int>{1, 2});
  CHECK(trace.header.experts == 6);  // the largest id + 1
  CHECK(ints(trace.experts) == std::vector<int>{3, 1, 2, 4, 0xFFFF, 0xFFFF, 5, 0});
  CHECK(notes_say(trace, "6 = the largest id + 1 is assumed"));
  CHECK(notes_say(trace, "2 (token, layer) pairs hold only zeros"));
}

TEST_CASE("Rows after the prompt are decode where the user says how long it is") {
  const std::vector<std::int16_t> ids{0, 1, 2, 3, 4};
  ImportOptions options;
  options.prompt_tokens = 3;
  const RoutingTrace trace = import_text(kFormat, array_of(NpyType::i16, {5, 1, 1}, ids), options);
  CHECK(ints(trace.phase) == std::vector<int>{0, 0, 0, 1, 1});
  CHECK(ints(trace.step) == std::vector<int>{0, 0, 0, 1, 2});
}

TEST_CASE("Layers are named by the user, by the model, or counted") {
  const std::vector<std::uint8_t> ids{0, 1, 2};
  const std::string array = array_of(NpyType::u8, {1, 3, 1}, ids);
  CHECK(import_text(kFormat, array).header.layer_ids == std::vector<int>{0, 1, 2});
  ImportOptions options;
  options.model_layers = {1, 3, 5};
  CHECK(import_text(kFormat, array, options).header.layer_ids == std::vector<int>{1, 3, 5});
  options.layers = {7, 8, 9};
  CHECK(import_text(kFormat, array, options).header.layer_ids == std::vector<int>{7, 8, 9});
  options.layers = {7, 8};
  CHECK(says(import_refusal(kFormat, array, options), "--layers names 2 layers; 3 are recorded"));
  options.layers = {9, 8, 7};
  CHECK(says(import_refusal(kFormat, array, options), "must ascend"));
}

TEST_CASE("Ids beyond the experts are refused by their element") {
  const std::vector<std::int16_t> ids{0, 1, 2, 3, 4, 64, 6, 7};
  ImportOptions options;
  options.experts = 64;
  CHECK(says(import_refusal(kFormat, array_of(NpyType::i16, {2, 2, 2}, ids), options),
             "a file: element [1][0][1]: expert 64, allowed: 0 to 63"));
}

TEST_CASE("Arrays of another type or shape are refused") {
  const std::vector<float> real{0, 1};
  CHECK(says(import_refusal(kFormat, array_of(NpyType::f32, {1, 1, 2}, real)),
             "the elements are <f4, expected whole numbers"));
  const std::vector<std::int16_t> ids{0, 1};
  CHECK(says(import_refusal(kFormat, array_of(NpyType::i16, {1, 2}, ids)), "2 dimensions"));
  CHECK(
      says(import_refusal(kFormat, array_of(NpyType::i16, {2, 1, 0}, std::vector<std::int16_t>{})),
           "holds no choice"));
  CHECK(
      says(import_refusal(kFormat, array_of(NpyType::i16, {0, 1, 1}, std::vector<std::int16_t>{})),
           "no tokens"));
  const std::vector<std::int16_t> none{-1, -1};
  CHECK(says(import_refusal(kFormat, array_of(NpyType::i16, {1, 1, 2}, none)),
             "no token is routed in any layer"));
  const std::string array = array_of(NpyType::i16, {1, 1, 2}, ids);
  CHECK(says(import_refusal(kFormat, array.substr(0, array.size() - 1)), "truncated"));
  const std::string other = array_of(NpyType::i16, {1, 2, 1}, ids);
  const std::vector<ImportFile> files{import_file("a.npy", array), import_file("b.npy", other)};
  CHECK_THROWS_WITH_AS(import_trace(files, "", {}),
                       "b.npy: [tokens, 2, 1], but a.npy is [tokens, 1, 2]: files of one import "
                       "are of one model",
                       InputError);
}

TEST_CASE("Several .npy files are several requests") {
  const std::string array = array_of(NpyType::i16, {2, 1, 1}, std::vector<std::int16_t>{1, 2});
  const std::vector<ImportFile> files{import_file("a/r.npy", array), import_file("b/r.npy", array)};
  CHECK(import_trace(files, "", {}).columns.request == std::vector<std::int32_t>{0, 0, 1, 1});
}
