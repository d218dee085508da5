// Rotary positions: each type against values worked out by hand and against its definition in
// double precision, in both spellings of the configuration.
#include "workloads/forward/rope.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/io/json_reader.h"
#include "tests/workloads/architectures/naive_rope.h"
#include "workloads/forward/grouped_query_attention.h"

namespace moesim {
namespace {

using nlohmann::json;

RopeParameters read(const json& config, std::int64_t dims) {
  ConfigReader reader(read_json_text(config.dump(), "config.json"));
  return read_rope(reader, dims, 10000);
}

// Compares with the relative precision of float32.
void check_turning(const RopeParameters& parameters,
                   std::int64_t length,
                   const naive::Turning& expected) {
  const RopeFrequencies frequencies = rope_frequencies(parameters, length);
  REQUIRE(frequencies.radians.size() == expected.radians.size());
  for (std::size_t pair = 0; pair < expected.radians.size(); ++pair)
    CHECK(frequencies.radians[pair] == doctest::Approx(expected.radians[pair]).epsilon(2e-7));
  CHECK(frequencies.amplitude == doctest::Approx(expected.amplitude).epsilon(2e-7));
}

json config_of(const json& scaling) {
  return {{"max_position_embeddings", 64}, {"rope_theta", 10000.0}, {"rope_scaling", scaling}};
}

TEST_CASE("plain positions turn pair i of d by theta^(-2 i / d)") {
  // 8 dimensions of theta 10^4: 10^0, 10^-1, 10^-2, 10^-3.
  check_turning(read(json::object(), 8), 1, {{1, 0.1, 0.01, 0.001}});
  check_turning(read({{"rope_theta", 1e8}}, 8), 1, {{1, 0.01, 1e-4, 1e-6}});
  check_turning(read(config_of(nullptr), 8), 1, {{1, 0.1, 0.01, 0.001}});
  for (const char* none : {"default", "none"})
    check_turning(read(config_of({{"rope_type", none}}), 8), 1, {{1, 0.1, 0.01, 0.001}});
}

TEST_CASE("linear scaling divides every frequency by the factor") {
  check_turning(read(config_of({{"type", "linear"}, {"factor", 4.0}}), 8), 1,
                {{0.25, 0.025, 0.0025, 0.00025}});
}

TEST_CASE("dynamic scaling raises theta beyond the trained positions") {
  // 4 dimensions, factor 2, 128 of 64 positions: theta * (2 * 128 / 64 - 1)^(4 / 2) = 9 theta, so
  // the second pair turns 1 / sqrt(90000).
  const RopeParameters parameters = read(config_of({{"type", "dynamic"}, {"factor", 2.0}}), 4);
  check_turning(parameters, 128, {{1, 1.0 / 300}});
  check_turning(parameters, 64, {{1, 0.01}});
  check_turning(parameters, 1, {{1, 0.01}});
  for (const std::int64_t length : {65, 100, 1000})
    check_turning(parameters, length,
                  naive::dynamic_turning(4, 10000, 2, 64, static_cast<double>(length)));
}

TEST_CASE("YaRN keeps fast pairs, divides slow ones and mixes between") {
  // 8 dimensions over 64 positions: the pair that turns 32 times lies at 4 ln(64 / 64 pi) / ln 10^4
  // = -0.5, so 0; the one that turns once at 4 ln(64 / 2 pi) / ln 10^4 = 1.008, so 2. Pair 1 is
  // mixed half and half: 0.1 (1/2 + 1/8).
  const json scaling = {
      {"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  check_turning(read(config_of(scaling), 8), 1,
                {{1, 0.0625, 0.0025, 0.00025}, 0.1 * std::log(4.0) + 1});
  for (const bool truncate : {true, false}) {
    json other = {{"rope_type", "yarn"}, {"factor", 16.0}, {"beta_fast", 8.0}, {"beta_slow", 2.0}};
    other["truncate"] = truncate;
    check_turning(read(config_of(other), 32), 1,
                  naive::yarn_turning(32, 10000, {16, 64, 8, 2, truncate}));
  }
}

TEST_CASE("YaRN's amplitude: as given, by mscale over mscale_all_dim, or by the factor") {
  const auto amplitude = [](const json& more) {
    json scaling = {{"type", "yarn"}, {"factor", 40.0}};
    scaling.update(more);
    return rope_frequencies(read(config_of(scaling), 8), 1).amplitude;
  };
  const double log40 = std::log(40.0);
  CHECK(amplitude(json::object()) == doctest::Approx(0.1 * log40 + 1));
  CHECK(amplitude({{"attention_factor", 1.5}}) == 1.5F);
  CHECK(amplitude({{"mscale", 1.0}, {"mscale_all_dim", 1.0}}) == 1.0F);
  CHECK(amplitude({{"mscale", 1.0}, {"mscale_all_dim", 0.5}}) ==
        doctest::Approx((0.1 * log40 + 1) / (0.05 * log40 + 1)));
  CHECK(amplitude({{"mscale", 0.7}}) == doctest::Approx(0.1 * log40 + 1));  // one alone: neither
}

TEST_CASE("DeepSeek's softmax factor under YaRN is (0.1 m ln factor + 1) squared") {
  const auto factor = [](double all_dim) {
    return yarn_softmax_factor(
        read(config_of({{"type", "yarn"}, {"factor", 40.0}, {"mscale_all_dim", all_dim}}), 8));
  };
  CHECK(factor(1.0) == doctest::Approx(std::pow(0.1 * std::log(40.0) + 1, 2)));
  CHECK(factor(0.707) == doctest::Approx(std::pow(0.0707 * std::log(40.0) + 1, 2)));
  CHECK(factor(0) == 1);
  CHECK(yarn_softmax_factor(read(json::object(), 8)) == 1);
}

TEST_CASE("llama3 stretches long wavelengths, keeps short ones and mixes between") {
  // Wavelengths 2 pi (1, 10, 100, 1000) = 6.3, 62.8, 628, 6283; limits 200 / 4 = 50 and 200 / 1.
  const json scaling = {{"rope_type", "llama3"},
                        {"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 200}};
  const double kept = (200 / (20 * std::numbers::pi) - 1) / 3;
  check_turning(read(config_of(scaling), 8), 1,
                {{1, 0.1 * kept + 0.1 / 8 * (1 - kept), 0.01 / 8, 0.001 / 8}});
  check_turning(read(config_of(scaling), 64), 1, naive::llama3_turning(64, 10000, {8, 1, 4, 200}));
}

TEST_CASE("longrope has a list of factors for short calls and one for long ones") {
  json config =
      config_of({{"type", "longrope"}, {"short_factor", {1.0, 2.0}}, {"long_factor", {4.0, 5.0}}});
  config["original_max_position_embeddings"] = 16;
  // The amplitude: sqrt(1 + ln(64 / 16) / ln 16) = sqrt(1.5).
  check_turning(read(config, 4), 16, {{1, 0.005}, std::sqrt(1.5)});
  check_turning(read(config, 4), 17, {{0.25, 0.002}, std::sqrt(1.5)});
  // Without that key the short list holds up to max_position_embeddings, whatever the object says;
  // rope_parameters (transformers 5) is listened to. sqrt(1 + ln 4 / ln 64) = sqrt(4 / 3).
  json inside = config;
  inside.erase("original_max_position_embeddings");
  inside["rope_scaling"].update({{"original_max_position_embeddings", 16}, {"factor", 4.0}});
  check_turning(read(inside, 4), 64, {{1, 0.005}, std::sqrt(4.0 / 3)});
  check_turning(read(inside, 4), 65, {{0.25, 0.002}, std::sqrt(4.0 / 3)});
  inside["rope_parameters"] = inside["rope_scaling"];
  check_turning(read(inside, 4), 17, {{0.25, 0.002}, std::sqrt(1.5)});
  config["rope_scaling"]["attention_factor"] = 1.25;
  check_turning(read(config, 4), 17, {{0.25, 0.002}, 1.25});
  config["rope_scaling"]["short_mscale"] = 1.1;
  config["rope_scaling"]["long_mscale"] = 1.2;
  check_turning(read(config, 4), 16, {{1, 0.005}, 1.1});
  check_turning(read(config, 4), 17, {{0.25, 0.002}, 1.2});
}

TEST_CASE("rope_parameters is rope_scaling with rope_theta and the rotated share inside") {
  const json inside = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 1e8}};
  const RopeParameters parameters = read({{"rope_parameters", inside}}, 8);
  check_turning(parameters, 1, {{0.5, 0.005, 5e-5, 5e-7}});
  json heads = {{"num_attention_heads", 4},
                {"head_dim", 16},
                {"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.25}}}};
  const auto rotated = [&] {
    ConfigReader reader(read_json_text(heads.dump(), "config.json"));
    return read_grouped_query(reader, 64, 10000).rope.dims;
  };
  CHECK(rotated() == 4);
  heads.erase("rope_parameters");
  CHECK(rotated() == 16);
  heads["partial_rotary_factor"] = 0.5;
  CHECK(rotated() == 8);
}

std::string refusal(const json& scaling, std::int64_t dims = 8) {
  return input_error_of([&] { read(config_of(scaling), dims); });
}

TEST_CASE("unknown rope types, unknown keys and impossible values are refused by name") {
  CHECK(refusal({{"type", "yarm"}, {"factor", 2.0}}).find("yarn") != std::string::npos);
  CHECK(refusal({{"rope_type", "su"}}).find("su") != std::string::npos);
  CHECK(refusal({{"type", "linear"}, {"facter", 2.0}}).find("facter") != std::string::npos);
  CHECK(refusal({{"type", "linear"}}).find("factor") != std::string::npos);
  CHECK(refusal({{"type", "linear"}, {"factor", 0.5}}).find("factor") != std::string::npos);
  CHECK(refusal({{"type", "linear"}, {"factor", 2.0}, {"beta_fast", 1.0}}).find("beta_fast") !=
        std::string::npos);
  CHECK(refusal({{"type", "dynamic"}, {"factor", 2.0}}, 2).find("2") != std::string::npos);
  CHECK(refusal({{"type", "yarn"}, {"factor", 2.0}, {"beta_fast", 0.0}}).find("beta_fast") !=
        std::string::npos);
  const json short_list = {
      {"type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", {1.0, 1.0}}};
  CHECK(refusal(short_list, 4).find("2 pairs") != std::string::npos);
  json backwards = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 4.0}};
  backwards["high_freq_factor"] = 1.0;
  backwards["original_max_position_embeddings"] = 200;
  CHECK(refusal(backwards).find("high_freq_factor") != std::string::npos);
  CHECK(input_error_of([] {
          read({{"rope_theta", 0.5}}, 8);
        }).find("rope_theta") != std::string::npos);
}

TEST_CASE("tables rotate by the angle, halves and neighbours alike, and back") {
  for (const bool neighbours : {false, true}) {
    RopeParameters parameters = read(json::object(), 8);
    parameters.interleaved = neighbours;
    Rope rope(parameters);
    const auto table = rope.table(40);
    for (const std::int64_t position : {0, 1, 39}) {
      naive::Row expected{0.5, -1, 2, 0.25, 3, -0.75, 1, 1.5};
      std::vector<float> x(expected.begin(), expected.end());
      naive::turn_by(naive::plain_turning(8, 10000), expected, 0, static_cast<double>(position),
                     neighbours);
      table->rotate(x.data(), position);
      for (std::size_t i = 0; i < 8; ++i) {  // neighbours come out as halves
        const std::size_t from = neighbours ? i % 4 * 2 + i / 4 : i;
        CHECK(x[i] == doctest::Approx(expected[from]).epsilon(1e-5));
      }
    }
  }
}

}  // namespace
}  // namespace moesim
