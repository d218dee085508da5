// Laws of expanded agentic workloads: counts add up, contexts follow from what was cached and
// computed, nothing decodes before its prefill, and domains come as the mix says.
#include "workloads/traces/agentic/expansion.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/io/files.h"
#include "tests/temporary_folder.h"
#include "workloads/traces/agentic/prefix_cache.h"

namespace moesim {
namespace {

using test::TemporaryFolder;

const char* const kWorkload = R"({
  "domains": ["code", "prose"],
  "kinds": {
    "agent": {
      "share": 3, "domains": {"code": 0.7, "prose": 0.3}, "topic_change": 0.3,
      "system_prompt": {"tokens": 40, "domain": "prose"},
      "turns": {"geometric": {"mean": 3}}, "user_tokens": {"lognormal": {"median": 20, "sigma": 1}},
      "output_tokens": {"uniform": {"from": 1, "to": 9}}, "tool_calls": {"uniform": {"from": 0, "to": 2}},
      "tools": {"search": {"share": 1, "domain": "prose", "result_tokens": 30, "wait": "100 ms"}},
      "think": {"exponential": {"mean": "1 s"}}
    },
    "chat": {"share": 1, "domains": "prose", "turns": 2, "user_tokens": 15, "output_tokens": 5}
  },
  "arrival": {"requests": 200, "mean_gap": "20 ms"},
  "batching": {"ranks": 3, "tokens_per_step": 64, "requests_per_rank": 8, "step_time": "10 ms", "max_context": 400},
  "prefix_cache": {"block_tokens": 8, "tokens_per_rank": 3000}
})";

AgenticDescription description(const std::string& text = kWorkload) {
  return load_agentic(read_json_text(text, "w.json"));
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string text = kWorkload;
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// 50 rows of code on experts 0 to 3, then 50 of prose on 4 to 7; two requests of each, decode from
// the 20th row of each request on.
RoutingTrace source_trace() {
  TraceColumns columns;
  columns.header.model = "made";
  columns.header.experts = 8;
  columns.header.top_k = 1;
  columns.header.layer_ids = {0, 1};
  columns.header.origin = "forward";
  columns.header.domains = {"prose", "code"};
  for (int token = 0; token < 100; ++token) {
    const bool code = token < 50;
    for (int layer = 0; layer < 2; ++layer) {
      columns.experts.push_back(static_cast<std::uint16_t>((code ? 0 : 4) + (token + layer) % 4));
      columns.weights.push_back(0x3C00);
    }
    columns.request.push_back(token / 25);
    columns.position.push_back(token % 25);
    columns.step.push_back(0);
    columns.domain.push_back(code ? 1 : 0);
    columns.phase.push_back(token % 25 < 20 ? 0 : 1);
  }
  return make_trace(std::move(columns));
}

RoutingTrace agentic_trace(const AgenticExpansion& expansion, const std::string& path) {
  const RoutingTrace source = source_trace();
  write_agentic_trace(path, expansion, *token_source(source, expansion.seed),
                      source_domains(expansion, source.header, {}));
  return open_trace(path, true);
}

TEST_CASE("the same seed gives the same bytes, another seed others") {
  const TemporaryFolder folder;
  std::map<std::string, std::uint64_t> seeds{{"a", 1}, {"b", 1}, {"c", 2}};
  std::map<std::string, std::string> bytes;
  for (const auto& [name, seed] : seeds) {
    const std::string path = folder / (name + ".safetensors");
    agentic_trace(expand_agentic(description(), seed), path);
    bytes[name] = read_text_file(path);
  }
  CHECK(bytes["a"] == bytes["b"]);
  CHECK(bytes["a"] != bytes["c"]);
}

TEST_CASE("every token is either cached or computed, and all requests finish") {
  const AgenticExpansion expansion = expand_agentic(description(), 1);
  std::int64_t prefill = 0, decode = 0, prompts = 0, outputs = 0;
  for (const AgenticEntry& entry : expansion.schedule.entries)
    (entry.phase == Phase::prefill ? prefill : decode) += entry.new_tokens;
  for (const AgenticRequest& request : expansion.requests) {
    std::int64_t context = 0;
    for (const AgenticTurn& turn : request.turns) {
      prompts += context + turn.prompt_tokens;
      outputs += turn.output_tokens;
      context += turn.prompt_tokens + turn.output_tokens;
    }
    CHECK(context == request.tokens);
    CHECK(request.tokens <= 400);
  }
  CHECK(expansion.schedule.prompt_tokens == prompts);
  CHECK(prefill == prompts - expansion.schedule.cached_tokens);
  CHECK(decode == outputs);
  CHECK(expansion.tokens() == prefill + decode);
  CHECK(expansion.schedule.cached_tokens > 0);
}

// Walks one request's entries against its turns.
struct Walk {
  std::size_t turn = 0;
  std::int64_t context = 0, turn_start = 0;
  bool begun = false;
};

TEST_CASE("contexts go on without gaps, and no request decodes before its prefill") {
  const AgenticExpansion expansion = expand_agentic(description(), 1);
  std::map<std::int32_t, Walk> walks;
  for (const AgenticEntry& entry : expansion.schedule.entries) {
    Walk& walk = walks[entry.request];
    const AgenticRequest& request = expansion.requests[static_cast<std::size_t>(entry.request)];
    REQUIRE(walk.turn < request.turns.size());
    const AgenticTurn& turn = request.turns[walk.turn];
    const std::int64_t prompt_end = walk.turn_start + turn.prompt_tokens;
    if (!walk.begun) {
      // A turn begins where the cache ends: in whole blocks, and never beyond what was computed.
      CHECK(entry.context % 8 == 0);
      CHECK(entry.context <= std::max<std::int64_t>(walk.turn_start, 40));
      CHECK(entry.phase == Phase::prefill);
      walk.begun = true;
    } else {
      CHECK(entry.context == walk.context);
    }
    CHECK((entry.phase == Phase::prefill) == (entry.context < prompt_end));
    walk.context = entry.context + entry.new_tokens;
    if (entry.phase == Phase::prefill) CHECK(walk.context <= prompt_end);
    if (walk.context < prompt_end + turn.output_tokens) continue;
    walk.turn_start = walk.context;
    walk.begun = false;
    ++walk.turn;
  }
  for (const auto& [request, walk] : walks)
    CHECK(walk.turn == expansion.requests[static_cast<std::size_t>(request)].turns.size());
  CHECK(walks.size() == expansion.requests.size());
}

TEST_CASE("batches keep the budgets, and their rows are the trace's") {
  const TemporaryFolder folder;
  const AgenticExpansion expansion = expand_agentic(description(), 1);
  const RoutingTrace trace = agentic_trace(expansion, folder / "t.safetensors");
  const std::vector<Batch> batches = agentic_batches(expansion);
  std::size_t tokens = 0;
  for (std::size_t step = 0; step < batches.size(); ++step) {
    CHECK(batches[step].tokens() > 0);
    tokens += batches[step].tokens();
    for (std::size_t rank = 0; rank < 3; ++rank) {
      CHECK(batches[step].rows[rank].size() <= 64);
      CHECK(batches[step].by_rank[rank].size() <= 8);
      std::size_t at = 0;
      for (const BatchEntry& entry : batches[step].by_rank[rank])
        for (int i = 0; i < entry.new_tokens; ++i, ++at) {
          const std::uint32_t row = batches[step].rows[rank][at];
          const bool same = trace.request[row] == entry.request &&
                            trace.position[row] == entry.context + i &&
                            trace.step[row] == static_cast<std::int32_t>(step) &&
                            trace.source_rank[row] == static_cast<std::int32_t>(rank) &&
                            trace.phase[row] == static_cast<std::uint8_t>(entry.phase);
          CHECK(same);
        }
    }
  }
  CHECK(tokens == trace.tokens());
}

TEST_CASE("tokens are routed as the source's tokens of their domain, the same at each position") {
  const TemporaryFolder folder;
  const AgenticExpansion expansion = expand_agentic(description(), 1);
  const RoutingTrace trace = agentic_trace(expansion, folder / "t.safetensors");
  CHECK(trace.header.domains == std::vector<std::string>{"code", "prose"});
  std::map<std::pair<int, int>, int> routed;    // by request and position
  std::map<int, std::set<int>> system_prompts;  // by position, over the agents
  for (std::size_t row = 0; row < trace.tokens(); ++row) {
    const int expert = trace.choice(row, 0)[0];
    CHECK((expert < 4) == (trace.domain[row] == 0));
    const auto known = routed.emplace(std::pair(trace.request[row], trace.position[row]), expert);
    CHECK(known.first->second == expert);
    const AgenticRequest& request =
        expansion.requests[static_cast<std::size_t>(trace.request[row])];
    if (request.kind == 0 && trace.position[row] < 40)
      system_prompts[trace.position[row]].insert(expert);
  }
  REQUIRE(system_prompts.size() == 40);
  for (const auto& entry : system_prompts) CHECK(entry.second.size() == 1);
}

TEST_CASE("kinds and domains come in the shares of the description") {
  const AgenticExpansion expansion =
      expand_agentic(description(replaced("\"requests\": 200", "\"requests\": 4000")), 3);
  double agents = 0, code = 0;
  for (const AgenticRequest& request : expansion.requests) {
    if (request.kind != 0) continue;  // kinds are sorted by name: agent, chat
    ++agents;
    if (request.texts[1].domain == 0) ++code;  // the first user's text, after the system prompt
  }
  // Binomial counts: four standard deviations of a share p over n are 4 sqrt(p (1 - p) / n).
  CHECK(std::abs(agents / 4000 - 0.75) < 4 * std::sqrt(0.75 * 0.25 / 4000));
  CHECK(std::abs(code / agents - 0.7) < 4 * std::sqrt(0.7 * 0.3 / agents));
}

TEST_CASE("without arrivals in between, a prefix cache of any size finds the turns before") {
  // One request of two turns of 15 + 5 tokens, blocks of 8: of 20 tokens two blocks are found.
  const AgenticExpansion expansion = expand_agentic(
      description(R"({"domains": ["d"], "kinds": {"k": {"share": 1, "domains": "d", "turns": 2,
        "user_tokens": 15, "output_tokens": 5}}, "arrival": {"requests": 1},
        "prefix_cache": {"block_tokens": 8}})"),
      1);
  CHECK(expansion.schedule.prompt_tokens == 15 + 35);
  CHECK(expansion.schedule.cached_tokens == 16);
  CHECK(expansion.schedule.steps == 2 * (1 + 5));
}

TEST_CASE(
    "a full prefix cache drops the conversation that waited longest, the system prompt last") {
  PrefixCache cache(8, 40, 1);
  const auto owner = [](std::int32_t request) { return PrefixCache::Owner{request, 0, 16}; };
  CHECK(cache.take(owner(0)) == 0);
  cache.computed(owner(0), 12);
  CHECK(cache.tokens() == 8);
  CHECK(cache.take(owner(1)) == 8);
  cache.keep(owner(0), 30);  // 16 of the system prompt and 8 of its own
  cache.keep(owner(1), 32);  // 16 of its own: 40 in all
  CHECK(cache.tokens() == 40);
  cache.keep(owner(2), 24);  // 8 more: request 0's leave
  CHECK(cache.tokens() == 40);
  CHECK(cache.take(owner(0)) == 16);
  CHECK(cache.take(owner(1)) == 32);
  CHECK(cache.take(owner(2)) == 24);
  CHECK(cache.tokens() == 16);
}

TEST_CASE("a description is refused at the key that is wrong") {
  const auto refusal = [](const std::string& from, const std::string& to) {
    try {
      description(replaced(from, to));
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto has = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  };
  has(refusal("\"turns\": 2", "\"tunrs\": 2"), "did you mean \"turns\"");
  has(refusal("\"turns\": 2", "\"turns\": 0"), "kinds.chat.turns");
  has(refusal("\"100 ms\"", "100"), "needs its unit");
  has(refusal("\"domain\": \"prose\", \"result", "\"domain\": \"pros\", \"result"), "\"prose\"");
  has(refusal("\"tool_calls\": {\"uniform\": {\"from\": 0, \"to\": 2}},", ""), "tool_calls");
  has(refusal("\"max_context\": 400", "\"max_context\": 41"), "max_context");
  has(refusal("\"share\": 3", "\"share\": 0"), "kinds.agent.share");
  has(refusal("{\"from\": 1, \"to\": 9}", "{\"from\": 9, \"to\": 1}"), "output_tokens");
}

TEST_CASE("a domain the source lacks is refused unless another takes its place") {
  const AgenticExpansion expansion = expand_agentic(description(), 1);
  TraceHeader header;
  header.domains = {"prose", "python"};
  CHECK_THROWS_WITH_AS(source_domains(expansion, header, {}), doctest::Contains("\"code\""),
                       InputError);
  CHECK(source_domains(expansion, header, {{"code", "python"}}) == std::vector<std::size_t>{1, 0});
  CHECK_THROWS_AS(source_domains(expansion, header, {{"cod", "python"}}), InputError);
}

TEST_CASE("the shipped descriptions load and expand") {
  for (const char* name : {"coding_agent", "mixed_assistants"}) {
    CAPTURE(name);
    const AgenticDescription shipped =
        load_agentic(read_json_file(data_path(std::string("workloads/agentic/") + name + ".json")));
    const AgenticExpansion expansion = expand_agentic(shipped, shipped.seed);
    CHECK(expansion.requests.size() == static_cast<std::size_t>(shipped.requests));
    CHECK(expansion.schedule.cached_tokens * 2 > expansion.schedule.prompt_tokens);
    CHECK(expansion.counts.tool_turns > 0);
  }
}

}  // namespace
}  // namespace moesim
