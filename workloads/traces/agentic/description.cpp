// Reads an agentic description; shares are brought to a sum of 1.
#include "workloads/traces/agentic/description.h"

#include <algorithm>
#include <cmath>

namespace moesim {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;
constexpr double kLongestWait = 30.0 * 86400;  // seconds

// The one key of a distribution's object, and its value.
JsonNode only_entry(const JsonNode& node, const std::vector<std::string>& kinds) {
  node.allow_only(kinds);
  std::optional<JsonNode> found;
  for (const std::string& kind : kinds) {
    if (!node.has(kind)) continue;
    if (found) node.fail("must be one distribution, not several");
    found = node.at(kind);
  }
  if (!found) node.fail("must be one of the distributions" + name_help("", kinds));
  return *found;
}

CountSpec read_count(const JsonNode& node, std::int64_t least) {
  CountSpec spec;
  spec.least = least;
  if (!node.is_object()) {
    spec.a = static_cast<double>(node.as_int(least, kMostTokens));
    return spec;
  }
  const JsonNode inner = only_entry(node, {"lognormal", "geometric", "uniform"});
  if (node.has("lognormal")) {
    inner.allow_only({"median", "sigma"});
    spec.kind = CountSpec::Kind::lognormal;
    spec.a = static_cast<double>(inner.at("median").as_int(1, kMostTokens));
    spec.b = inner.at("sigma").as_ratio(0, 4);
  } else if (node.has("geometric")) {
    inner.allow_only({"mean"});
    spec.kind = CountSpec::Kind::geometric;
    spec.a = inner.at("mean").as_ratio(1, static_cast<double>(kMostTokens));
  } else {
    inner.allow_only({"from", "to"});
    spec.kind = CountSpec::Kind::uniform;
    const std::int64_t from = inner.at("from").as_int(least, kMostTokens);
    spec.a = static_cast<double>(from);
    spec.b = static_cast<double>(inner.at("to").as_int(from, kMostTokens));
  }
  return spec;
}

Seconds read_seconds(const JsonNode& node) {
  const Seconds time = node.as_seconds();
  if (!(time.count() >= 0 && time.count() <= kLongestWait))
    node.fail("is out of range; allowed: \"0 s\" to \"2592000 s\" (30 days)");
  return time;
}

WaitSpec read_wait(const JsonNode& node) {
  WaitSpec spec;
  if (!node.is_object()) {
    spec.center = read_seconds(node);
    return spec;
  }
  const JsonNode inner = only_entry(node, {"lognormal", "exponential"});
  if (node.has("lognormal")) {
    inner.allow_only({"median", "sigma"});
    spec.kind = WaitSpec::Kind::lognormal;
    spec.center = read_seconds(inner.at("median"));
    spec.sigma = inner.at("sigma").as_ratio(0, 4);
  } else {
    inner.allow_only({"mean"});
    spec.kind = WaitSpec::Kind::exponential;
    spec.center = read_seconds(inner.at("mean"));
  }
  return spec;
}

std::size_t read_domain(const JsonNode& node, const std::vector<std::string>& domains) {
  const std::string name = node.as_choice(domains, "domain");
  return static_cast<std::size_t>(std::find(domains.begin(), domains.end(), name) -
                                  domains.begin());
}

double read_share(const JsonNode& node) {
  const double share = node.as_ratio(0, 1e6);
  if (share == 0) node.fail("is 0; a share is above 0, or the entry is left out");
  return share;
}

template <class Entry>
void normalise(std::vector<Entry>& entries) {
  double sum = 0;
  for (const Entry& entry : entries) sum += entry.share;
  for (Entry& entry : entries) entry.share /= sum;
}

std::vector<DomainShare> read_domain_mix(const JsonNode& node,
                                         const std::vector<std::string>& domains) {
  if (!node.is_object()) return {{read_domain(node, domains), 1}};
  node.allow_only(domains);
  std::vector<DomainShare> mix;
  for (std::size_t domain = 0; domain < domains.size(); ++domain)
    if (const auto share = node.find(domains[domain])) mix.push_back({domain, read_share(*share)});
  if (mix.empty()) node.fail("names no domain" + name_help("", domains));
  normalise(mix);
  return mix;
}

// Objects by name keep no order in JSON: their names sort them, "_" ones are comments.
std::vector<std::string> entry_names(const JsonNode& node) {
  std::vector<std::string> names;
  for (const std::string& name : node.keys())
    if (!name.starts_with("_")) names.push_back(name);
  return names;
}

std::vector<ToolSpec> read_tools(const JsonNode& node, const std::vector<std::string>& domains) {
  std::vector<ToolSpec> tools;
  for (const std::string& name : entry_names(node)) {
    const JsonNode tool = node.at(name);
    tool.allow_only({"share", "domain", "result_tokens", "wait"});
    tools.push_back({name, read_share(tool.at("share")), read_domain(tool.at("domain"), domains),
                     read_count(tool.at("result_tokens"), 1), read_wait(tool.at("wait"))});
  }
  if (tools.empty()) node.fail("names no tool; leave the key out where there are none");
  normalise(tools);
  return tools;
}

RequestKind read_kind(const std::string& name,
                      const JsonNode& node,
                      const std::vector<std::string>& domains) {
  node.allow_only({"share", "domains", "topic_change", "system_prompt", "turns", "user_tokens",
                   "output_tokens", "tool_calls", "tools", "think"});
  RequestKind kind;
  kind.name = name;
  kind.share = read_share(node.at("share"));
  kind.domains = read_domain_mix(node.at("domains"), domains);
  kind.system_domain = kind.domains.front().domain;
  if (const auto change = node.find("topic_change")) kind.topic_change = change->as_ratio(0, 1);
  if (const auto system = node.find("system_prompt")) {
    system->allow_only({"tokens", "domain"});
    kind.system_prompt = system->at("tokens").as_int(1, kMostTokens);
    kind.system_domain = read_domain(system->at("domain"), domains);
  }
  kind.turns = read_count(node.at("turns"), 1);
  kind.user_tokens = read_count(node.at("user_tokens"), 1);
  kind.output_tokens = read_count(node.at("output_tokens"), 1);
  kind.tool_calls = {CountSpec::Kind::fixed, 0, 0, 0};
  const auto calls = node.find("tool_calls"), tools = node.find("tools");
  if (calls.has_value() != tools.has_value())
    node.fail("needs both \"tool_calls\" and \"tools\", or neither");
  if (calls) kind.tool_calls = read_count(*calls, 0);
  if (tools) kind.tools = read_tools(*tools, domains);
  if (const auto think = node.find("think")) kind.think = read_wait(*think);
  return kind;
}

std::vector<std::string> read_domains(const JsonNode& node) {
  std::vector<std::string> domains;
  for (const JsonNode& item : node.items()) {
    const std::string name = item.as_string();
    if (name.empty() || name.starts_with("_")) item.fail("is no domain's name");
    if (std::find(domains.begin(), domains.end(), name) != domains.end())
      item.fail("\"" + name + "\" stands here twice");
    domains.push_back(name);
  }
  if (domains.empty() || domains.size() > 256) node.fail("must name 1 to 256 domains");
  return domains;
}

void read_batching(const JsonNode& node, AgenticDescription& description) {
  node.allow_only({"ranks", "tokens_per_step", "requests_per_rank", "step_time", "max_context"});
  const auto read = [&](const char* key, std::int64_t low, std::int64_t high, auto& value) {
    if (const auto entry = node.find(key))
      value = static_cast<std::remove_reference_t<decltype(value)>>(entry->as_int(low, high));
  };
  read("ranks", 1, 1 << 17, description.ranks);
  read("tokens_per_step", 1, kMostTokens, description.tokens_per_step);
  read("requests_per_rank", 1, 1 << 20, description.requests_per_rank);
  read("max_context", 2, kMostTokens, description.max_context);
  if (const auto time = node.find("step_time")) {
    description.step_time = read_seconds(*time);
    if (description.step_time.count() <= 0) time->fail("must be above \"0 s\"");
  }
}

void read_cache(const JsonNode& node, AgenticDescription& description) {
  node.allow_only({"block_tokens", "tokens_per_rank"});
  if (const auto block = node.find("block_tokens"))
    description.cache_block = block->as_int(1, 1 << 16);
  if (const auto tokens = node.find("tokens_per_rank"))
    description.cache_tokens = tokens->as_int(0, std::int64_t{1} << 40);
}

}  // namespace

AgenticDescription load_agentic(const JsonNode& root) {
  root.allow_only({"name", "domains", "kinds", "arrival", "batching", "prefix_cache", "seed"});
  AgenticDescription description;
  if (const auto name = root.find("name")) description.name = name->as_string();
  description.domains = read_domains(root.at("domains"));
  const JsonNode kinds = root.at("kinds");
  for (const std::string& name : entry_names(kinds))
    description.kinds.push_back(read_kind(name, kinds.at(name), description.domains));
  if (description.kinds.empty()) kinds.fail("names no kind of request");
  normalise(description.kinds);
  const JsonNode arrival = root.at("arrival");
  arrival.allow_only({"requests", "mean_gap"});
  description.requests = arrival.at("requests").as_int(1, 1 << 24);
  if (const auto gap = arrival.find("mean_gap")) description.mean_gap = read_seconds(*gap);
  if (const auto batching = root.find("batching")) read_batching(*batching, description);
  if (const auto cache = root.find("prefix_cache")) read_cache(*cache, description);
  if (const auto seed = root.find("seed"))
    description.seed = static_cast<std::uint64_t>(seed->as_int(0, INT64_MAX));
  for (const RequestKind& kind : description.kinds)
    if (kind.system_prompt + 2 > description.max_context)
      kinds.at(kind.name)
          .at("system_prompt")
          .fail(std::to_string(kind.system_prompt) +
                " tokens leave no room for a turn in max_context, " +
                std::to_string(description.max_context));
  return description;
}

}  // namespace moesim
