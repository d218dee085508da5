// Lengths are lognormal around their mean; domains follow a mix that goes over from one given
// moment to the next.
#include "workloads/traces/synth_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "sim/core/error.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

// Shares of all domains at the mixes' moments, in the order of `domains`.
struct Mixes {
  std::vector<std::string> domains;
  std::vector<double> at;
  std::vector<std::vector<double>> shares;
};

Mixes read_mixes(const SynthProfile& profile, const SynthRequest& request) {
  Mixes mixes;
  std::vector<DomainMix> given = request.mixes;
  if (given.empty()) {
    given.emplace_back();
    for (const std::string& domain : profile.domains) given[0].shares.emplace_back(domain, 1.0);
  }
  for (const DomainMix& mix : given) {
    if (mix.at < 0 || mix.at > 1 || (!mixes.at.empty() && mix.at <= mixes.at.back()))
      throw InputError(fmt::format(
          "domain mix: moment {} must lie in 0 to 1 and after the moment before it", mix.at));
    mixes.at.push_back(mix.at);
    for (const auto& [domain, share] : mix.shares)
      if (std::find(mixes.domains.begin(), mixes.domains.end(), domain) == mixes.domains.end())
        mixes.domains.push_back(domain);
  }
  if (mixes.domains.size() > 255)
    throw InputError(fmt::format("domain mix: {} domains, at most 255", mixes.domains.size()));
  for (const DomainMix& mix : given) {
    std::vector<double> shares(mixes.domains.size(), 0);
    double sum = 0;
    for (const auto& [domain, share] : mix.shares) sum += share;
    if (!(sum > 0)) throw InputError("domain mix: no domain has a share above 0");
    for (const auto& [domain, share] : mix.shares) {
      const auto place = std::find(mixes.domains.begin(), mixes.domains.end(), domain);
      shares[static_cast<std::size_t>(place - mixes.domains.begin())] += share / sum;
    }
    mixes.shares.push_back(std::move(shares));
  }
  return mixes;
}

std::size_t draw_domain(const Mixes& mixes, double moment, Random& random) {
  const auto above = std::upper_bound(mixes.at.begin(), mixes.at.end(), moment);
  const auto next = static_cast<std::size_t>(above - mixes.at.begin());
  const std::size_t high = std::min(next, mixes.at.size() - 1), low = next == 0 ? 0 : next - 1;
  const double share =
      high == low ? 0 : (moment - mixes.at[low]) / (mixes.at[high] - mixes.at[low]);
  double point = random.uniform();
  std::size_t last = 0;
  for (std::size_t i = 0; i < mixes.domains.size(); ++i) {
    const double here = (1 - share) * mixes.shares[low][i] + share * mixes.shares[high][i];
    if (here <= 0) continue;
    last = i;
    point -= here;
    if (point < 0) break;
  }
  return last;
}

// A lognormal length with the given mean; 0 stays 0.
std::int32_t draw_length(int mean, double spread, Random& random) {
  if (mean == 0) return 0;
  const double length = mean * std::exp(spread * random.normal() - spread * spread / 2);
  return static_cast<std::int32_t>(std::clamp(std::round(length), 1.0, 1.0 * (1 << 24)));
}

void check_request(const SynthRequest& request) {
  const auto refuse = [](const std::string& message) {
    throw InputError("synthetic trace: " + message);
  };
  if (request.tokens < 1 || request.tokens > std::numeric_limits<std::int32_t>::max())
    refuse(fmt::format("tokens is {}, allowed: 1 to {}", request.tokens,
                       std::numeric_limits<std::int32_t>::max()));
  if (request.prompt_tokens < 0 || request.answer_tokens < 0 ||
      request.prompt_tokens + std::int64_t{request.answer_tokens} < 1)
    refuse(fmt::format("prompt and answer tokens are {} and {}; at least one together",
                       request.prompt_tokens, request.answer_tokens));
  if (!(request.length_spread >= 0 && request.length_spread <= 4))
    refuse(fmt::format("length spread is {}, allowed: 0 to 4", request.length_spread));
}

}  // namespace

DomainMix parse_domain_mix(const std::string& text) {
  DomainMix mix;
  const auto refuse = [&](const std::string& reason) {
    throw InputError(
        fmt::format("domain mix \"{}\": {}; write \"code=0.5,chat=0.5\"", text, reason));
  };
  double sum = 0;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0)
      refuse(fmt::format("\"{}\" is no domain=share", part));
    double share = 0;
    const char* const last = part.data() + part.size();
    const auto parsed = std::from_chars(part.data() + equals + 1, last, share);
    if (parsed.ec != std::errc{} || parsed.ptr != last || !(share >= 0 && share <= 1e9))
      refuse(fmt::format("\"{}\" is no share of 0 or more", part.substr(equals + 1)));
    mix.shares.emplace_back(part.substr(0, equals), share);
    sum += share;
    begin = end + 1;
  }
  if (!(sum > 0)) refuse("no domain has a share above 0");
  return mix;
}

RequestPlan plan_requests(const SynthProfile& profile, const SynthRequest& request) {
  check_request(request);
  const Mixes mixes = read_mixes(profile, request);
  Random random = Random::named(request.seed, "requests");
  RequestPlan plan;
  plan.domains = mixes.domains;
  const auto tokens = static_cast<std::size_t>(request.tokens);
  for (std::size_t row = 0; row < tokens;) {
    PlannedRequest planned;
    planned.first_row = row;
    planned.domain =
        draw_domain(mixes, static_cast<double>(row) / static_cast<double>(tokens), random);
    const auto left = static_cast<std::int32_t>(tokens - row);
    planned.prompt =
        std::min(left, draw_length(request.prompt_tokens, request.length_spread, random));
    planned.answer = std::min(left - planned.prompt,
                              draw_length(request.answer_tokens, request.length_spread, random));
    plan.decode = plan.decode || planned.answer > 0;
    row += static_cast<std::size_t>(planned.prompt + planned.answer);
    plan.requests.push_back(planned);
  }
  return plan;
}

}  // namespace moesim
