// Requests of a synthetic trace; profiles are read as they were written; what cannot be drawn is
// refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "sim/core/error.h"
#include "sim/io/json_reader.h"
#include "workloads/traces/synth.h"

namespace moesim {

TEST_CASE("requests are prefilled, then decode one position a step") {
  SynthRequest request;
  request.tokens = 500;
  request.experts = 4;
  request.top_k = 1;
  request.moe_layers = 2;
  request.prompt_tokens = 7;
  request.answer_tokens = 3;
  request.length_spread = 0;
  request.layer_ids = {3, 5};
  const RoutingTrace trace = synthesize(load_profile("uniform"), request);
  CHECK(trace.header.layer_ids == std::vector<int>{3, 5});
  for (std::size_t row = 0; row < 500; ++row) {
    const int position = static_cast<int>(row % 10);
    REQUIRE(trace.request[row] == static_cast<int>(row / 10));
    REQUIRE(trace.position[row] == position);
    REQUIRE(trace.phase[row] == (position < 7 ? 0 : 1));
    REQUIRE(trace.step[row] == std::max(0, position - 6));
  }
}

TEST_CASE("a profile reads as it was written") {
  for (const std::string& name : profile_names()) {
    const SynthProfile profile = load_profile(name);
    const std::string text = profile_json(profile);
    CHECK(profile_json(read_profile(read_json_text(text, name))) == text);
  }
  CHECK(load_profile("olmoe-1b-7b").name == load_profile("olmoe").name);
}

TEST_CASE("what cannot be drawn is refused") {
  const SynthProfile profile = load_profile("olmoe");
  const auto refuses = [&](const std::function<void(SynthRequest&)>& change, const char* words) {
    SynthRequest request;
    request.tokens = 10;
    change(request);
    CAPTURE(words);
    try {
      synthesize(profile, request);
      FAIL_CHECK("was drawn");
    } catch (const InputError& error) {
      CHECK(std::string(error.what()).find(words) != std::string::npos);
    }
  };
  refuses([](SynthRequest& r) { r.experts = 513; }, "experts is 513");
  refuses([](SynthRequest& r) { r.moe_layers = 97; }, "MoE layers is 97");
  refuses([](SynthRequest& r) { r.top_k = 65; }, "top_k is 65");
  refuses([](SynthRequest& r) { r.groups = 7; }, "groups is 7");
  refuses([](SynthRequest& r) { r.groups = 8, r.kept_groups = 9; }, "kept groups is 9");
  refuses([](SynthRequest& r) { r.tokens = 0; }, "tokens is 0");
  refuses([](SynthRequest& r) { r.prompt_tokens = r.answer_tokens = 0; }, "at least one together");
  refuses([](SynthRequest& r) { r.layer_ids = {1}; }, "1 layer ids for 16");
  refuses([](SynthRequest& r) { r.mixes = {{0.5, {{"a", 1}}}, {0.5, {{"b", 1}}}}; }, "moment 0.5");
  refuses([](SynthRequest& r) { r.mixes = {{0, {{"a", 0}}}}; }, "no domain has a share");
  CHECK_THROWS_WITH_AS(load_profile("olmo"), doctest::Contains("did you mean \"olmoe\""),
                       InputError);
  CHECK_THROWS_WITH_AS(parse_domain_mix("code=0.5,chat"),
                       doctest::Contains("\"chat\" is no domain"), InputError);
  CHECK_THROWS_WITH_AS(parse_domain_mix("code=x"), doctest::Contains("\"x\" is no share"),
                       InputError);
}

TEST_CASE("a profile that contradicts itself is refused by key") {
  const std::string good = R"({"name": "p", "experts": 4, "top_k": 1, "moe_layers": 1,
    "places": [0, 3], "domains": ["a"], "layers": [{"depth": 0, "load": {"a": [2, 1]}}]})";
  CHECK_NOTHROW(read_profile(read_json_text(good, "p")));
  const auto refuses = [&](const std::string& from, const std::string& to, const char* words) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    CHECK_THROWS_WITH_AS(read_profile(read_json_text(text, "p.json")), doctest::Contains(words),
                         InputError);
  };
  refuses("[2, 1]", "[1, 2]", "load curve falls");
  refuses("[2, 1]", "[2]", "\"places\" names 2");
  refuses("[0, 3]", "[0, 2]", "end with 3");
  refuses("[0, 3]", "[3, 0]", "above the place before it");
  refuses("\"load\"", "\"lode\"", "did you mean \"load\"");
  refuses("[\"a\"]", "[\"a\", \"a\"]", "named twice");
  refuses("\"depth\": 0", "\"depth\": 2", "depth");
}

}  // namespace moesim
