// Draws requests turn by turn.
#include "workloads/traces/agentic/requests.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "sim/core/error.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 31;
constexpr std::uint64_t kTextsPerRequest = std::uint64_t{1} << 32;

std::int64_t draw(const CountSpec& spec, Random& random) {
  double value = spec.a;
  if (spec.kind == CountSpec::Kind::lognormal)
    value = std::round(spec.a * std::exp(spec.b * random.normal()));
  if (spec.kind == CountSpec::Kind::geometric && spec.a > 1)
    value = 1 + std::floor(std::log(1 - random.uniform()) / std::log(1 - 1 / spec.a));
  if (spec.kind == CountSpec::Kind::uniform)
    value =
        spec.a + static_cast<double>(random.below(static_cast<std::uint64_t>(spec.b - spec.a) + 1));
  const double least = static_cast<double>(spec.least);
  return static_cast<std::int64_t>(std::clamp(value, least, static_cast<double>(kMostTokens)));
}

Seconds draw(const WaitSpec& spec, Random& random) {
  if (spec.kind == WaitSpec::Kind::lognormal)
    return spec.center * std::exp(spec.sigma * random.normal());
  if (spec.kind == WaitSpec::Kind::exponential)
    return spec.center * -std::log(1 - random.uniform());
  return spec.center;
}

template <class Entry>
const Entry& choose(const std::vector<Entry>& entries, Random& random) {
  double left = random.uniform();
  for (const Entry& entry : entries) {
    if (left < entry.share) return entry;
    left -= entry.share;
  }
  return entries.back();  // the shares' sum was rounded down
}

// Writes one request; false once max_context is reached.
class RequestWriter {
 public:
  RequestWriter(AgenticRequest& request, std::uint64_t first_text, std::int64_t max_context)
      : request_(request), next_text_(first_text), max_context_(max_context) {}

  void add_system(const RequestKind& kind, std::uint64_t number) {
    if (kind.system_prompt == 0) return;
    request_.texts.push_back({0, number, kind.system_domain, Phase::prefill});
    request_.tokens = system_ = kind.system_prompt;
  }

  struct Parts {
    std::size_t prompt_domain, output_domain;
    AgenticTurn turn;
  };
  bool add(Parts parts) {
    AgenticTurn& turn = parts.turn;
    const std::int64_t room = max_context_ - request_.tokens;
    if (turn.prompt_tokens + turn.output_tokens > room) {
      request_.cut = true;
      if (!request_.turns.empty()) return false;
      turn.prompt_tokens = std::min(turn.prompt_tokens, room - 1);
      turn.output_tokens = std::min(turn.output_tokens, room - turn.prompt_tokens);
    }
    add_text(turn.prompt_tokens, parts.prompt_domain, Phase::prefill);
    add_text(turn.output_tokens, parts.output_domain, Phase::decode);
    if (request_.turns.empty()) turn.prompt_tokens += system_;
    request_.turns.push_back(turn);
    return true;
  }

 private:
  void add_text(std::int64_t tokens, std::size_t domain, Phase phase) {
    request_.texts.push_back({request_.tokens, next_text_++, domain, phase});
    request_.tokens += tokens;
  }

  AgenticRequest& request_;
  std::uint64_t next_text_;
  std::int64_t max_context_, system_ = 0;
};

// A user's turn and those of the tools that are called in it.
bool add_user_turn(const RequestKind& kind,
                   std::size_t domain,
                   bool first,
                   RequestWriter& writer,
                   Random& random) {
  const Seconds think = first ? Seconds(0) : draw(kind.think, random);
  const std::int64_t prompt = draw(kind.user_tokens, random);
  const std::int64_t output = draw(kind.output_tokens, random);
  if (!writer.add({domain, domain, {prompt, output, think, false}})) return false;
  const std::int64_t calls = draw(kind.tool_calls, random);
  for (std::int64_t call = 0; call < calls; ++call) {
    const ToolSpec& tool = choose(kind.tools, random);
    const std::int64_t result = draw(tool.result_tokens, random);
    const std::int64_t answer = draw(kind.output_tokens, random);
    const Seconds wait = draw(tool.wait, random);
    if (!writer.add({tool.domain, domain, {result, answer, wait, true}})) return false;
  }
  return true;
}

AgenticRequest draw_request(const AgenticDescription& description,
                            std::uint64_t number,
                            std::uint64_t seed) {
  Random random = Random::named(seed, "agentic request " + std::to_string(number));
  AgenticRequest request;
  const RequestKind& kind = choose(description.kinds, random);
  request.kind = static_cast<std::size_t>(&kind - description.kinds.data());
  RequestWriter writer(request, (number + 1) * kTextsPerRequest, description.max_context);
  writer.add_system(kind, request.kind);
  std::size_t domain = choose(kind.domains, random).domain;
  const std::int64_t turns = draw(kind.turns, random);
  for (std::int64_t turn = 0; turn < turns; ++turn) {
    if (turn > 0 && random.uniform() < kind.topic_change)
      domain = choose(kind.domains, random).domain;
    if (!add_user_turn(kind, domain, turn == 0, writer, random)) break;
  }
  return request;
}

}  // namespace

std::vector<AgenticRequest> draw_requests(const AgenticDescription& description,
                                          std::uint64_t seed) {
  Random arrivals = Random::named(seed, "agentic arrivals");
  std::vector<AgenticRequest> requests;
  requests.reserve(static_cast<std::size_t>(description.requests));
  Seconds now{0};
  std::int64_t tokens = 0;
  for (std::int64_t number = 0; number < description.requests; ++number) {
    requests.push_back(draw_request(description, static_cast<std::uint64_t>(number), seed));
    requests.back().arrival = now;
    now += description.mean_gap * -std::log(1 - arrivals.uniform());
    tokens += requests.back().tokens;
    if (tokens >= kMostTokens)
      throw InputError("the " + std::to_string(description.requests) +
                       " requests of arrival.requests hold more than " +
                       std::to_string(kMostTokens) + " tokens by request " +
                       std::to_string(number) + "; ask for fewer or shorter ones");
  }
  return requests;
}

}  // namespace moesim
