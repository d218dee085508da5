// What trace fit solves: a trace drawn from the fitted profile shows the statistics of the first.
#include "workloads/traces/synth_fit.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/error.h"

namespace moesim {
namespace {

RoutingTrace drawn_like(const std::string& like, std::int64_t tokens, int moe_layers) {
  SynthRequest request;
  request.tokens = tokens;
  request.moe_layers = moe_layers;
  request.answer_tokens = 0;
  request.seed = 7;
  request.mixes = {{0, {{"code", 1}, {"chat", 1}}}};
  return synthesize(load_profile(like), request);
}

void check_alike(const LayerTraceStats& a, const LayerTraceStats& b) {
  CAPTURE(a.layer);
  const auto near = [](double reached, double target, double relative = 0.1) {
    CHECK(reached > (1 - relative) * target);
    CHECK(reached < (1 + relative) * target);
  };
  // Where domains are mixed the busiest expert of all depends on which experts two domains both
  // favour: the orders drawn are the best of some, not exact.
  near(b.all.max_over_mean, a.all.max_over_mean, 0.12);
  near(b.all.hottest_eighth, a.all.hottest_eighth);
  near(b.all.zipf_exponent, a.all.zipf_exponent);
  near(b.distance_between_domains, a.distance_between_domains);
  for (std::size_t domain = 0; domain < a.by_domain.size(); ++domain) {
    near(b.by_domain[domain].max_over_mean, a.by_domain[domain].max_over_mean);
    near(b.by_domain[domain].zipf_exponent, a.by_domain[domain].zipf_exponent);
    near(b.by_domain[domain].hottest_eighth, a.by_domain[domain].hottest_eighth);
  }
  if (a.next_layer.pairs > 0) near(b.next_layer.share, a.next_layer.share);
  near(b.next_token.share, a.next_token.share);
}

}  // namespace

TEST_CASE(
    "a trace drawn from a fitted profile shows the statistics of the trace it was fitted to") {
  for (const char* like : {"deepseek-v3", "qwen3-235b"}) {
    CAPTURE(like);
    const RoutingTrace trace = drawn_like(like, 60000, 3);
    FitOptions options;
    if (std::string(like) == "deepseek-v3") options.groups = 8, options.kept_groups = 4;
    FittedProfile fitted = fit_profile(trace, options);
    CHECK(fitted.profile.domains == std::vector<std::string>{"code", "chat"});
    fitted.request.seed = 12;
    fitted.request.tokens = 240000;  // classes last some ten tokens: few tokens show few of them
    const TraceStats before = trace_stats(trace);
    const TraceStats after = trace_stats(synthesize(fitted.profile, fitted.request));
    REQUIRE(after.layers.size() == before.layers.size());
    for (std::size_t layer = 0; layer < before.layers.size(); ++layer)
      check_alike(before.layers[layer], after.layers[layer]);
    for (const FitRow& row : fitted.rows) CHECK(row.target > 0);
  }
}

TEST_CASE("a fit is the same on any number of threads") {
  const RoutingTrace trace = drawn_like("olmoe", 6000, 2);
  FitOptions options;
  options.rounds = 2;
  options.threads = 1;
  const std::string one = profile_json(fit_profile(trace, options).profile);
  options.threads = 3;
  CHECK(profile_json(fit_profile(trace, options).profile) == one);
}

TEST_CASE("groups that do not divide the experts are refused") {
  const RoutingTrace trace = drawn_like("olmoe", 100, 1);
  FitOptions options;
  options.groups = 7;
  CHECK_THROWS_WITH_AS(fit_profile(trace, options), doctest::Contains("groups is 7"), InputError);
  options = {};
  options.kept_groups = 2;
  CHECK_THROWS_WITH_AS(fit_profile(trace, options), doctest::Contains("kept groups is 2"),
                       InputError);
}

}  // namespace moesim
