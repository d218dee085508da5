// Trace statistics against numbers counted by hand and against published ones of a real model.
#include "sim/trace/trace_stats.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/error.h"
#include "sim/io/json_reader.h"
#include "sim/trace/request_rows.h"
#include "tests/sim/trace/hand_made_trace.h"
#include "tests/source_dir.h"

namespace moesim {
namespace {

// Every token's top-1 choices in two layers, one request a token unless told.
RoutingTrace two_layer_trace(const std::vector<std::array<std::uint16_t, 2>>& choices,
                             int experts,
                             bool one_request) {
  TraceColumns columns;
  columns.header = {1, "pairs", experts, 1, {0, 1}, "synthetic", 0, {"all"}, ""};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    columns.experts.insert(columns.experts.end(), choices[i].begin(), choices[i].end());
    columns.request.push_back(one_request ? 0 : static_cast<std::int32_t>(i));
    columns.position.push_back(one_request ? static_cast<std::int32_t>(i) : 0);
  }
  columns.step.assign(choices.size(), 0);
  columns.domain.assign(choices.size(), 0);
  columns.phase.assign(choices.size(), 0);
  return make_trace(std::move(columns));
}

}  // namespace

TEST_CASE("loads and their skew are counted by domain and layer") {
  const TraceStats stats = trace_stats(make_trace(hand_made_columns()));
  REQUIRE(stats.layers.size() == 2);
  CHECK(stats.tokens == 6);
  CHECK(stats.requests == 2);
  CHECK(stats.prefill_tokens == 4);
  CHECK(stats.tokens_by_domain == std::vector<std::size_t>{4, 2});
  CHECK(stats.not_routed == doctest::Approx(1.0 / 24));

  const LayerTraceStats& first = stats.layers[0];
  CHECK(first.layer == 1);
  // Layer 1 chooses 01 01 02 10 | 32 3-.
  CHECK(first.by_domain[0].load == std::vector<std::uint64_t>{4, 3, 1, 0});
  CHECK(first.by_domain[1].load == std::vector<std::uint64_t>{0, 0, 1, 2});
  CHECK(first.all.load == std::vector<std::uint64_t>{4, 3, 2, 2});
  CHECK(first.all.copies == 11);
  CHECK(first.all.max_over_mean == doctest::Approx(4.0 / (11.0 / 4)));
  CHECK(first.all.hottest_eighth == doctest::Approx(4.0 / 11));  // an eighth of 4, rounded up: 1
  // Shares 4/8 3/8 1/8 0 against 0 0 1/3 2/3.
  CHECK(first.distance_between_domains ==
        doctest::Approx(0.5 * (4.0 / 8 + 3.0 / 8 + (1.0 / 3 - 1.0 / 8) + 2.0 / 3)));
}

TEST_CASE("the Zipf exponent of an exact power law is its exponent") {
  for (const double exponent : {0.0, 0.5, 1.0}) {
    std::vector<std::uint64_t> load;
    for (int rank = 1; rank <= 64; ++rank)
      load.push_back(static_cast<std::uint64_t>(1e12 * std::pow(rank, -exponent)));
    std::swap(load[0], load[40]);  // the order of experts does not matter
    CHECK(load_stats(load).zipf_exponent == doctest::Approx(exponent).epsilon(1e-6));
  }
}

TEST_CASE("experts without load and an idle layer leave the statistics finite") {
  const LoadStats one = load_stats({0, 9, 0, 0});
  CHECK(one.max_over_mean == 4);
  CHECK(one.hottest_eighth == 1);
  CHECK(one.zipf_exponent == 0);
  const LoadStats none = load_stats({0, 0});
  CHECK(none.max_over_mean == 0);
  CHECK(none.zipf_exponent == 0);
}

TEST_CASE("OLMoE's counts give the skew that was measured on them") {
  const JsonNode counts =
      read_json_file(test::source_dir() + "/tests/data/olmoe_domain_counts.json").at("counts");
  struct Measured {
    const char* domain;
    double max_over_mean[3], zipf_exponent[3];
  };
  // Layers 0, 7, 15, to the digits given.
  const Measured measured[] = {{"c4", {3.0, 2.7, 2.5}, {.23, .30, .38}},
                               {"github", {5.0, 6.2, 4.5}, {.42, .97, 1.07}},
                               {"arxiv", {7.8, 6.3, 7.5}, {.46, .86, .87}},
                               {"wikipedia", {6.2, 6.8, 4.7}, {.54, .66, 1.26}}};
  for (const Measured& row : measured) {
    for (std::size_t layer = 0; layer < 3; ++layer) {
      std::vector<std::uint64_t> load;
      for (const JsonNode& count : counts.at(row.domain).items()[layer].items())
        load.push_back(static_cast<std::uint64_t>(count.as_int(0, 1 << 30)));
      const LoadStats stats = load_stats(load);
      CHECK(std::abs(stats.max_over_mean - row.max_over_mean[layer]) < 0.06);
      CHECK(std::abs(stats.zipf_exponent - row.zipf_exponent[layer]) < 0.006);
    }
  }
}

TEST_CASE("OLMoE's domains part further with depth, as measured") {
  const JsonNode counts =
      read_json_file(test::source_dir() + "/tests/data/olmoe_domain_counts.json").at("counts");
  const double measured[] = {.26, .44, .52};
  for (std::size_t layer = 0; layer < 3; ++layer) {
    std::vector<LoadStats> domains;
    for (const std::string& domain : counts.keys()) {
      std::vector<std::uint64_t> load;
      for (const JsonNode& count : counts.at(domain).items()[layer].items())
        load.push_back(static_cast<std::uint64_t>(count.as_int(0, 1 << 30)));
      domains.push_back(load_stats(load));
    }
    CHECK(std::abs(domain_distance(domains) - measured[layer]) < 0.006);
  }
}

TEST_CASE(
    "a next layer that follows the last one is covered wholly, an independent one by chance") {
  std::vector<std::array<std::uint16_t, 2>> follows, independent;
  for (std::uint16_t a = 0; a < 10; ++a)
    for (std::uint16_t b = 0; b < 10; ++b) {
      follows.push_back({a, static_cast<std::uint16_t>((a + 3) % 10)});
      independent.push_back({a, b});
    }
  // A fifth of 10 experts is 2: of 10 equally likely ones they cover 2/10.
  const TraceStats tied = trace_stats(two_layer_trace(follows, 10, false));
  CHECK(tied.layers[0].next_layer.pairs == 100);
  CHECK(tied.layers[0].next_layer.share == 1);
  CHECK(tied.layers[0].next_layer.chance == doctest::Approx(0.2));
  CHECK(tied.layers[1].next_layer.pairs == 0);  // no layer follows
  const TraceStats loose = trace_stats(two_layer_trace(independent, 10, false));
  CHECK(loose.layers[0].next_layer.share == doctest::Approx(0.2));
  CHECK(loose.layers[0].next_token.pairs == 0);  // every token is a request of its own
}

TEST_CASE("coverage counts every pair of a token's choices, the unrouted left out") {
  const TraceStats stats = trace_stats(make_trace(hand_made_columns()));
  const DependenceStats& affinity = stats.layers[0].next_layer;
  // Rows 0-4 make 4 pairs, row 5 (one choice, then two) 2.
  CHECK(affinity.pairs == 22);
  // A fifth of 4 experts is 1. Next experts of 0: 2 in rows 0 1 2 3, 3 in 0 1 3, 1 in 2 -> 4 of 8.
  // Of 1: 2 and 3 in rows 0 1 3 -> 3 of 6. Of 2: {2,1} and {0,1} -> 2 of 4. Of 3: {0,1} and {0,2}
  // -> 2 of 4.
  CHECK(affinity.share == doctest::Approx((4 + 3 + 2 + 2) / 22.0));
  // Next experts: 0 in 3 pairs (2 of row 4, 1 of row 5), 1 in 4, 2 in 9, 3 in 6.
  CHECK(affinity.chance == doctest::Approx(9 / 22.0));
}

TEST_CASE("neighbours with the same first expert are counted within a request only") {
  const TraceStats stats = trace_stats(make_trace(hand_made_columns()));
  // First experts in layer 1: 0 0 0 1 | 3 3. Neighbours: 00 00 01 33, of which three agree.
  const DependenceStats& locality = stats.layers[0].same_first_expert;
  CHECK(locality.pairs == 4);
  CHECK(locality.share == doctest::Approx(3.0 / 4));
  // Before: 0 0 0 3, after: 0 0 1 3.
  CHECK(locality.chance == doctest::Approx(3.0 / 4 * 2.0 / 4 + 1.0 / 4 * 1.0 / 4));

  // A gap in the positions parts neighbours.
  TraceColumns columns = hand_made_columns();
  columns.position = {0, 1, 5, 6, 0, 2};
  const TraceStats gapped = trace_stats(make_trace(columns));
  CHECK(gapped.layers[0].same_first_expert.pairs == 2);
}

TEST_CASE("many experts are counted in blocks with the same result as few") {
  // 4096 experts need 4 blocks of counters. Token i goes from expert 8 i to expert 4095 - 8 i.
  std::vector<std::array<std::uint16_t, 2>> choices;
  for (std::uint16_t i = 0; i < 512; ++i)
    choices.push_back(
        {static_cast<std::uint16_t>(8 * i), static_cast<std::uint16_t>(4095 - 8 * i)});
  const TraceStats stats = trace_stats(two_layer_trace(choices, 4096, true));
  CHECK(stats.layers[0].next_layer.pairs == 512);
  CHECK(stats.layers[0].next_layer.share == 1);
  CHECK(stats.layers[0].next_token.pairs == 511);
  CHECK(stats.layers[0].next_token.share == 1);
}

TEST_CASE("the hottest tenth of pairs is counted over all pairs of experts") {
  // 10 experts make 100 pairs, so the tenth is 10 of them; the ten pairs (a, a + 3) are all there
  // is.
  std::vector<std::array<std::uint16_t, 2>> follows, independent;
  for (std::uint16_t a = 0; a < 10; ++a)
    for (std::uint16_t b = 0; b < 10; ++b) {
      follows.push_back({a, static_cast<std::uint16_t>((a + 3) % 10)});
      independent.push_back({a, b});
    }
  CHECK(trace_stats(two_layer_trace(follows, 10, false)).layers[0].next_layer_hottest == 1);
  CHECK(trace_stats(two_layer_trace(independent, 10, false)).layers[0].next_layer_hottest ==
        doctest::Approx(0.1));
  CHECK(trace_stats(two_layer_trace(follows, 10, false)).layers[1].next_layer_hottest == 0);
}

TEST_CASE("the overlap of phases is the share of the busiest experts that both have") {
  std::vector<std::uint64_t> prefill(32), decode(32);
  for (std::size_t i = 0; i < 32; ++i) {
    prefill[i] = 100 - i;             // top 5: 0 to 4, top 10: 0 to 9, top 20: 0 to 19
    decode[i] = 100 - (i + 30) % 32;  // 2, 3, 4, ..., 31, 0, 1
  }
  const PhaseOverlap overlap = phase_overlap(prefill, decode);
  REQUIRE(overlap.counted);
  CHECK(overlap.share[0] == doctest::Approx(3.0 / 5));
  CHECK(overlap.share[1] == doctest::Approx(8.0 / 10));
  CHECK(overlap.share[2] == doctest::Approx(18.0 / 20));
  CHECK_FALSE(phase_overlap(prefill, std::vector<std::uint64_t>(32, 0)).counted);
  CHECK_FALSE(phase_overlap({3, 2, 1}, {1, 2, 3}).counted);  // fewer experts than 20
}

TEST_CASE("contiguous ranks hold equal runs of experts") {
  CHECK(contiguous_rank_skew({4, 2, 1, 1}, 2) == doctest::Approx(6 / 4.0));
  CHECK(contiguous_rank_skew({4, 2, 1, 1}, 4) == doctest::Approx(4 / 2.0));
  CHECK(contiguous_rank_skew({0, 0}, 2) == 0);
}

TEST_CASE("a long trace is sampled to a bounded number of pairs with nearly the same shares") {
  // 2 experts, top-1: 4 kinds of pairs, so 256 pairs are wanted; of 3000 rows every 13th is
  // counted.
  std::vector<std::array<std::uint16_t, 2>> choices;
  for (std::uint16_t i = 0; i < 3000; ++i) {
    const auto a = static_cast<std::uint16_t>(i / 7 % 2);
    choices.push_back({a, a});
  }
  const TraceStats stats = trace_stats(two_layer_trace(choices, 2, true));
  CHECK(stats.layers[0].next_layer.pairs == (3000 + 12) / 13);
  CHECK(stats.layers[0].next_layer.share == 1);
  CHECK(stats.layers[0].all.copies == 3000);  // loads count every entry
}

TEST_CASE("of many pairs only some first experts are counted, each with all its next experts") {
  // Expert a is followed by a, a + 1, a + 2 or a + 3, a fifth of 256 experts is 52 and the tenth of
  // all kinds holds all that occur: every share is 1.
  std::vector<std::array<std::uint16_t, 2>> choices;
  constexpr std::size_t kTokens = 2 * kAllFirstPairs;
  choices.reserve(kTokens);
  for (std::size_t i = 0; i < kTokens; ++i)
    choices.push_back({static_cast<std::uint16_t>(i % 256),
                       static_cast<std::uint16_t>((i % 256 + i / 256 % 4) % 256)});
  const TraceStats stats = trace_stats(two_layer_trace(choices, 256, true));
  CHECK(stats.layers[0].next_layer.pairs == kTokens * kFirstExperts / 256);
  CHECK(stats.layers[0].next_layer.share == 1);
  CHECK(stats.layers[0].next_layer_hottest == 1);
  // The last token has no next one; its first expert, 255, is not among those counted.
  CHECK(stats.layers[0].next_token.pairs == kTokens * kFirstExperts / 256);
  CHECK(stats.layers[0].next_token.share == 1);
  CHECK(stats.layers[0].all.copies == kTokens);  // loads count every entry
}

TEST_CASE("an expert beyond the header's is refused with its row") {
  RoutingTrace trace = make_trace(hand_made_columns());
  std::vector<std::uint16_t> wrong(trace.experts.begin(), trace.experts.end());
  wrong[9] = 4;  // row 2, layer 1, of 4 experts
  trace.experts = wrong;
  try {
    trace_stats(trace);
    FAIL_CHECK("was counted");
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).find("token row 2") != std::string::npos);
  }
}

TEST_CASE("statistics do not depend on the number of threads") {
  const RoutingTrace trace = make_trace(hand_made_columns());
  const TraceStats one = trace_stats(trace, 1), three = trace_stats(trace, 3);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    CHECK(one.layers[layer].all.load == three.layers[layer].all.load);
    CHECK(one.layers[layer].next_token.share == three.layers[layer].next_token.share);
  }
}

TEST_CASE("rows are grouped by request however they are interleaved") {
  const std::vector<std::int32_t> request{5, 8, 5, 5, 2, 8};
  const std::vector<std::uint32_t> rows{0, 1, 2, 4, 5};
  const RequestRows groups = rows_by_request(request, rows);
  REQUIRE(groups.requests() == 3);
  CHECK(groups.rows == std::vector<std::uint32_t>{0, 2, 1, 5, 4});
  CHECK(groups.first == std::vector<std::size_t>{0, 2, 4, 5});
}

}  // namespace moesim
