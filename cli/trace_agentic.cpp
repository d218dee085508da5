// moesim trace agentic: multi-turn requests with tools and shared prefixes, expanded into a trace.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>

#include "analysis/report/text_table.h"
#include "cli/commands.h"
#include "sim/io/files.h"
#include "workloads/traces/agentic/expansion.h"

namespace moesim {
namespace {

struct AgenticArguments {
  std::string description, from, out;
  std::vector<std::string> domains;  // NAME=SOURCE
  std::optional<std::uint64_t> seed;
};

std::map<std::string, std::string> renamed_domains(const AgenticArguments& arguments) {
  std::map<std::string, std::string> renamed;
  for (const std::string& pair : arguments.domains) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size())
      throw InputError("--domain is \"" + pair +
                       "\"; write NAME=SOURCE: the description's name, then the source trace's");
    renamed[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return renamed;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void print_expansion(const AgenticExpansion& expansion) {
  const AgenticCounts& counts = expansion.counts;
  const AgenticSchedule& schedule = expansion.schedule;
  fmt::print("requests: {} ({} ended at max_context)\n", expansion.requests.size(),
             counts.cut_requests);
  fmt::print("turns: {} ({} from users, {} from tools), domain switches: {}\n",
             counts.user_turns + counts.tool_turns, counts.user_turns, counts.tool_turns,
             counts.domain_switches);
  fmt::print("steps: {} on {} ranks, {:.1f} tokens a rank and step\n", schedule.steps,
             expansion.ranks,
             static_cast<double>(expansion.tokens()) / schedule.steps / expansion.ranks);
  fmt::print("prompt tokens: {}, {:.1f} % of them from the prefix cache\n\n",
             schedule.prompt_tokens, share(schedule.cached_tokens, schedule.prompt_tokens));
  std::vector<std::vector<std::string>> rows;
  for (std::size_t domain = 0; domain < expansion.domains.size(); ++domain) {
    const auto& tokens = counts.tokens[domain];
    rows.push_back({expansion.domains[domain], std::to_string(tokens[0]), std::to_string(tokens[1]),
                    fmt::format("{:.1f} %", share(tokens[0] + tokens[1], expansion.tokens()))});
  }
  fmt::print(
      "{}",
      text_table({{"computed tokens", 24, false}, {"prefill", 16}, {"decode", 16}, {"share", 10}},
                 rows));
}

void expand(const AgenticArguments& arguments) {
  const std::array<std::string, 2> inputs{arguments.description, arguments.from};
  check_writable(arguments.out, inputs);
  const AgenticDescription description = load_agentic(read_json_file(arguments.description));
  const RoutingTrace source = open_trace(arguments.from);
  const std::uint64_t seed = arguments.seed.value_or(description.seed);
  const AgenticExpansion expansion = expand_agentic(description, seed);
  const auto domains = source_domains(expansion, source.header, renamed_domains(arguments));
  write_agentic_trace(arguments.out, expansion, *token_source(source, seed), domains);
  print_expansion(expansion);
  fmt::print("\n{}: {} tokens, {} MoE layers, {} experts, top-{}\n", arguments.out,
             expansion.tokens(), source.moe_layers(), source.header.experts, source.header.top_k);
}

void add_agentic(CLI::App& command) {
  const auto arguments = std::make_shared<AgenticArguments>();
  command
      .add_option("description", arguments->description,
                  "the workload (.json), such as workloads/agentic/coding_agent.json")
      ->required();
  command.add_option("--from", arguments->from, "trace that tokens take their routing from")
      ->required();
  command.add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command.add_option("--domain", arguments->domains,
                     "NAME=SOURCE: the source trace's domain for one of the description; repeat");
  command.add_option("--seed", arguments->seed, "default: the description's");
  command.footer(
      "Example: moesim trace agentic workloads/agentic/coding_agent.json --from trace.safetensors "
      "--domain logic=arithmetic --domain knowledge=prose --out agents.safetensors\n"
      "(the reference model's trace has the domains arithmetic, code, json and prose)");
  command.callback([arguments] { expand(*arguments); });
}

const Registered<TraceCommand> registered{
    "agentic", "Expand multi-turn requests with tools and shared prefixes", {add_agentic}};

}  // namespace
}  // namespace moesim
