// Synthetic traces against what was measured on real models and published (see the profiles'
// sources), and the laws every drawn trace keeps.
#include "workloads/traces/synth.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "sim/io/json_reader.h"
#include "sim/trace/trace_stats.h"
#include "tests/source_dir.h"

namespace moesim {
namespace {

constexpr double kTenth = 0.1;  // the distance allowed from a target, relative

bool near(double value, double target, double relative, double absolute = 0) {
  return std::abs(value - target) <= std::max(relative * std::abs(target), absolute);
}

TraceStats drawn(const std::string& like, SynthRequest request) {
  return trace_stats(synthesize(load_profile(like), request));
}

// Prompts only: the published counts are of texts that were read.
SynthRequest texts(std::int64_t tokens) {
  SynthRequest request;
  request.tokens = tokens;
  request.prompt_tokens = 2048;
  request.length_spread = 0;
  request.answer_tokens = 0;
  return request;
}

// The means over layers of a share.
double mean_of(const TraceStats& stats,
               const std::function<double(const LayerTraceStats&)>& value) {
  double sum = 0;
  int count = 0;
  for (const LayerTraceStats& layer : stats.layers) {
    const double here = value(layer);
    if (here <= 0) continue;
    sum += here;
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

double max_over_mean(const RoutingTrace& trace, std::size_t first, std::size_t rows) {
  std::vector<std::uint64_t> load(static_cast<std::size_t>(trace.header.experts), 0);
  for (std::size_t row = first; row < first + rows; ++row)
    for (const std::uint16_t expert : trace.choice(row, 0)) ++load[expert];
  return load_stats(load).max_over_mean;
}

}  // namespace

TEST_CASE("like OLMoE, every domain and layer is as skewed as was counted") {
  // 2048-token texts: some 60 a domain here, so that the mix of token classes evens out.
  const TraceStats stats = drawn("olmoe", texts(600000));
  const JsonNode counts =
      read_json_file(test::source_dir() + "/tests/data/olmoe_domain_counts.json").at("counts");
  const std::size_t layers[] = {0, 7, 15};
  for (std::size_t i = 0; i < 3; ++i) {
    const LayerTraceStats& layer = stats.layers[layers[i]];
    std::vector<LoadStats> measured;
    for (std::size_t domain = 0; domain < stats.header.domains.size(); ++domain) {
      CAPTURE(layers[i]);
      CAPTURE(stats.header.domains[domain]);
      std::vector<std::uint64_t> load;
      for (const JsonNode& count : counts.at(stats.header.domains[domain]).items()[i].items())
        load.push_back(static_cast<std::uint64_t>(count.as_int(0, 1 << 30)));
      measured.push_back(load_stats(load));
      const LoadStats& found = layer.by_domain[domain];
      CHECK(near(found.max_over_mean, measured.back().max_over_mean, kTenth));
      CHECK(near(found.zipf_exponent, measured.back().zipf_exponent, kTenth));
      CHECK(near(found.hottest_eighth, measured.back().hottest_eighth, kTenth));
    }
    CHECK(near(layer.distance_between_domains, domain_distance(measured), kTenth));
  }
}

TEST_CASE("like Mixtral, loads are nearly even and neighbours repeat their first expert") {
  const TraceStats stats = drawn("mixtral", texts(400000));
  // ROUTING: max/mean 1.08-1.33, Zipf .04-.22, hottest eighth 14-17 %, distance .04 / .05 / .07.
  const double distances[] = {.039, .047, .066};
  const std::size_t layers[] = {0, 7, 15};
  for (std::size_t i = 0; i < 3; ++i) {
    const LayerTraceStats& layer = stats.layers[layers[i]];
    CHECK(near(layer.distance_between_domains, distances[i], kTenth, 0.01));
    for (const LoadStats& domain : layer.by_domain) {
      CHECK(domain.max_over_mean > 1.08 * 0.95);
      CHECK(domain.max_over_mean < 1.33 * 1.1);
      CHECK(domain.zipf_exponent > 0.04 * 0.5);
      CHECK(domain.zipf_exponent < 0.22 * 1.15);
      CHECK(domain.hottest_eighth > 0.14 * 0.95);
      CHECK(domain.hottest_eighth < 0.17 * 1.1);
    }
  }
  // Mixtral of Experts (arXiv 2401.04088), table 5: 14 % in layer 0, 24-28 % in 15, 20-26 % in 31.
  CHECK(near(stats.layers[0].same_first_expert.share, 0.14, kTenth));
  CHECK(stats.layers[15].same_first_expert.share > 0.24);
  CHECK(stats.layers[15].same_first_expert.share < 0.28);
  CHECK(stats.layers[31].same_first_expert.share > 0.20);
  CHECK(stats.layers[31].same_first_expert.share < 0.26);
}

TEST_CASE("one layer tells of the next, one token of the next, as published") {
  struct Published {
    const char* like;
    double next_layer, next_token;
    std::int64_t tokens;  // 64 pairs of experts a kind and more
  };
  // arXiv 2510.05497.
  const Published models[] = {{"deepseek-v3", .50, .47, 66000},
                              {"qwen3-235b", .65, .62, 24000},
                              {"llama-4-maverick", .77, .80, 300000},
                              {"kimi-k2", .56, .53, 148000}};
  for (const Published& model : models) {
    CAPTURE(model.like);
    SynthRequest request;
    request.tokens = model.tokens;
    request.moe_layers = 6;
    request.seed = 5;  // not the one the profile was solved with
    const TraceStats stats = drawn(model.like, request);
    CHECK(near(mean_of(stats, [](const auto& layer) { return layer.next_layer.share; }),
               model.next_layer, kTenth));
    CHECK(near(mean_of(stats, [](const auto& layer) { return layer.next_token.share; }),
               model.next_token, kTenth));
  }
}

TEST_CASE("prefill and decode share their busiest experts as published") {
  SynthRequest request;
  request.tokens = 60000;
  request.moe_layers = 24;
  const TraceStats stats = drawn("qwen3-235b", request);
  const double published[] = {.60, .75, .90};  // of the top 5, 10, 20: arXiv 2510.05497
  for (std::size_t i = 0; i < 3; ++i) {
    const double share = mean_of(stats, [&](const auto& layer) { return layer.phases.share[i]; });
    CHECK(near(share, published[i], kTenth));
  }
}

TEST_CASE("a few pairs of experts carry most where layers are closely tied") {
  SynthRequest request;
  request.tokens = 300000;
  request.moe_layers = 6;
  const TraceStats stats = drawn("llama-4-maverick", request);
  const double next_layer =
      mean_of(stats, [](const auto& layer) { return layer.next_layer_hottest; });
  const double next_token =
      mean_of(stats, [](const auto& layer) { return layer.next_token_hottest; });
  // arXiv 2510.05497: the hottest tenth of pairs holds 60 to 80 %.
  CHECK(next_layer > 0.60);
  CHECK(next_layer < 0.80);
  CHECK(next_token > 0.60);
  CHECK(next_token < 0.80);
}

TEST_CASE("like DeepSeek-V3, contiguous ranks are as uneven as measured, whatever the mix") {
  struct Range {
    int ranks;
    double low, high;
  };
  const Range ranges[] = {{8, 1.6, 2.1}, {32, 2.1, 3.0}, {64, 2.7, 3.8}, {256, 5.6, 8.1}};
  for (const int answer_tokens : {0, 256}) {
    for (const char* mix : {"any=1", "code=1,chat=1", "code=2,chat=1,math=1"}) {
      SynthRequest request;
      request.tokens = 40000;
      request.moe_layers = 12;
      request.answer_tokens = answer_tokens;
      request.mixes = {parse_domain_mix(mix)};
      const TraceStats stats = drawn("deepseek-v3", request);
      for (const Range& range : ranges) {
        CAPTURE(range.ranks);
        CAPTURE(mix);
        CAPTURE(answer_tokens);
        const double skew = mean_of(stats, [&](const auto& layer) {
          return contiguous_rank_skew(layer.all.load, range.ranks);
        });
        CHECK(skew > range.low);
        CHECK(skew < range.high);
      }
    }
  }
}

TEST_CASE("small batches are less even than large ones, as chance has it") {
  SynthRequest request = texts(1 << 18);
  request.moe_layers = 1;
  const RoutingTrace trace = synthesize(load_profile("uniform"), request);
  const std::pair<std::size_t, double> expected[] = {// 64 experts, top-8, uniform
                                                     {8, 3.67},
                                                     {32, 2.27},
                                                     {128, 1.56},
                                                     {512, 1.29},
                                                     {2048, 1.15}};
  for (const auto& [rows, ratio] : expected) {
    double sum = 0;
    constexpr std::size_t kWindows = 100;
    for (std::size_t window = 0; window < kWindows; ++window)
      sum += max_over_mean(trace, window * rows, rows);
    CHECK(near(sum / kWindows, ratio, kTenth));
  }
}

TEST_CASE("a skewed domain stays skewed in large batches") {
  SynthRequest request = texts(120000);
  request.mixes = {{0, {{"github", 1}}}};
  const TraceStats stats = drawn("olmoe", request);
  CHECK(near(stats.layers[7].all.max_over_mean, 6.2, kTenth));
}

TEST_CASE("a token's experts are distinct and lie in the groups it may reach") {
  SynthRequest request;
  request.tokens = 2000;
  request.moe_layers = 3;
  const RoutingTrace trace = synthesize(load_profile("deepseek-v3"), request);
  for (std::size_t row = 0; row < trace.tokens(); ++row)
    for (std::size_t layer = 0; layer < 3; ++layer) {
      std::set<int> experts, groups;
      for (const std::uint16_t expert : trace.choice(row, layer)) {
        experts.insert(expert);
        groups.insert(expert / 32);
      }
      REQUIRE(experts.size() == 8);
      REQUIRE(groups.size() <= 4);
    }
}

TEST_CASE("the same seed draws the same trace on any number of threads, another seed another") {
  SynthRequest request;
  request.tokens = 3000;
  request.moe_layers = 4;
  const SynthProfile profile = load_profile("olmoe");
  request.threads = 1;
  const std::string one = synthesize(profile, request).header.data_sha256;
  request.threads = 3;
  CHECK(synthesize(profile, request).header.data_sha256 == one);
  request.seed = 2;
  CHECK(synthesize(profile, request).header.data_sha256 != one);
}

TEST_CASE("the busiest experts stand at other ids in every layer and seed") {
  SynthRequest request = texts(8192);
  request.mixes = {{0, {{"github", 1}}}};
  std::set<std::size_t> busiest;
  for (request.seed = 1; request.seed <= 4; ++request.seed)
    for (const LayerTraceStats& layer : drawn("olmoe", request).layers)
      busiest.insert(static_cast<std::size_t>(
          std::max_element(layer.all.load.begin(), layer.all.load.end()) - layer.all.load.begin()));
  CHECK(busiest.size() > 24);  // 64 draws from 64 ids give 40 different ones on average
}

TEST_CASE("the mix of domains goes over from one moment to the next") {
  SynthRequest request;
  request.tokens = 100000;
  request.experts = 8;
  request.top_k = 1;
  request.moe_layers = 1;
  request.prompt_tokens = request.answer_tokens = 10;
  request.mixes = {parse_domain_mix("code=1"), parse_domain_mix("chat=3,code=1")};
  request.mixes[1].at = 0.5;
  const RoutingTrace trace = synthesize(load_profile("olmoe"), request);
  CHECK(trace.header.domains == std::vector<std::string>{"code", "chat"});
  const auto chat_share = [&](std::size_t first, std::size_t end) {
    std::size_t chat = 0;
    for (std::size_t row = first; row < end; ++row) chat += trace.domain[row];
    return static_cast<double>(chat) / static_cast<double>(end - first);
  };
  CHECK(chat_share(0, 5000) < 0.1);
  CHECK(near(chat_share(20000, 30000), 0.375, 0, 0.08));  // halfway to three quarters
  CHECK(near(chat_share(50000, 100000), 0.75, 0, 0.05));
}

TEST_CASE("any shape up to 512 experts in 96 layers is drawn, also where every expert is chosen") {
  SynthRequest request;
  request.tokens = 300;
  request.experts = 512;
  request.top_k = 10;
  request.moe_layers = 96;
  CHECK(synthesize(load_profile("deepseek-v3"), request).experts.size() == 300U * 96 * 10);
  request.experts = request.top_k = 8;
  request.moe_layers = 2;
  const RoutingTrace all = synthesize(load_profile("mixtral"), request);
  const std::set<int> chosen(all.choice(0, 0).begin(), all.choice(0, 0).end());
  CHECK(chosen.size() == 8);
  request.experts = request.top_k = 1;
  CHECK(synthesize(load_profile("mixtral"), request).choice(0, 0)[0] == 0);
}

}  // namespace moesim
