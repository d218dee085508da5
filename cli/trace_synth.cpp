// moesim trace synth: draws a routing trace from a profile of how a model routes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <memory>

#include "cli/commands.h"
#include "sim/io/files.h"
#include "workloads/traces/synth.h"

namespace moesim {
namespace {

struct SynthArguments {
  std::string like, profile, domains, out;
  std::vector<std::string> drift;
  SynthRequest request;
};

// "0.5:code=0.1,chat=0.9".
DomainMix parse_drift(const std::string& text) {
  const std::size_t colon = text.find(':');
  double at = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + std::min(colon, text.size()), at);
  if (colon == std::string::npos || parsed.ec != std::errc{} || parsed.ptr != text.data() + colon ||
      !(at > 0 && at <= 1))
    throw InputError(fmt::format(
        "--drift \"{}\": expected a moment above 0 and at most 1, and the mix from then on; write "
        "\"1:code=0.1,chat=0.9\"",
        text));
  DomainMix mix = parse_domain_mix(text.substr(colon + 1));
  mix.at = at;
  return mix;
}

void synth(SynthArguments arguments) {
  if (arguments.like.empty() == arguments.profile.empty())
    throw InputError(fmt::format("give either --like (one of {}) or --profile",
                                 fmt::join(profile_names(), ", ")));
  check_writable(arguments.out);
  const SynthProfile profile = arguments.like.empty()
                                   ? read_profile(read_json_file(arguments.profile))
                                   : load_profile(arguments.like);
  SynthRequest& request = arguments.request;
  if (!arguments.domains.empty()) request.mixes.push_back(parse_domain_mix(arguments.domains));
  if (!arguments.drift.empty() && request.mixes.empty())
    throw InputError("--drift needs --domains, the mix that the trace begins with");
  for (const std::string& drift : arguments.drift) request.mixes.push_back(parse_drift(drift));
  const RoutingTrace trace = synthesize(profile, request);
  write_trace(arguments.out, trace);
  fmt::print("{}: {} tokens, {} MoE layers, {} experts, top-{}, like {}\n", arguments.out,
             trace.tokens(), trace.moe_layers(), trace.header.experts, trace.header.top_k,
             profile.name);
}

void add_shape(CLI::App& command, SynthRequest& request) {
  command.add_option("--experts", request.experts, "default of this and the next: the profile's")
      ->check(CLI::Range(1, 512));
  command.add_option("--top-k", request.top_k, "experts a token is sent to")
      ->check(CLI::Range(1, 512));
  command.add_option("--layers", request.moe_layers, "MoE layers")->check(CLI::Range(1, 96));
  command.add_option("--groups", request.groups, "groups of experts; 1 = no limit to groups")
      ->check(CLI::Range(1, 64));
  command.add_option("--kept-groups", request.kept_groups, "groups that a token may reach")
      ->check(CLI::Range(1, 64));
}

void add_synth(CLI::App& command) {
  const auto arguments = std::make_shared<SynthArguments>();
  SynthRequest& request = arguments->request;
  command.add_option("--like", arguments->like,
                     "a shipped profile: \"deepseek-v3\", \"olmoe\", ...");
  command.add_option("--profile", arguments->profile,
                     "a profile of your own, from trace fit (.json)");
  command.add_option("--tokens", request.tokens, "tokens of the trace")->required();
  command.add_option("--domains", arguments->domains,
                     "shares of tokens, \"code=0.5,chat=0.5\" (default: the profile's, evenly)");
  command.add_option("--drift", arguments->drift,
                     "the mix at a later moment, \"1:code=0.1,chat=0.9\" = at the end; may be "
                     "repeated");
  add_shape(command, request);
  command.add_option("--prompt", request.prompt_tokens, "mean tokens of a prompt (default 256)")
      ->check(CLI::Range(0, 1 << 24));
  command.add_option("--answer", request.answer_tokens, "mean tokens of an answer (default 256)")
      ->check(CLI::Range(0, 1 << 24));
  command.add_option("--length-spread", request.length_spread,
                     "s.d. of the logarithm of lengths (default 0.5)");
  command.add_option("--seed", request.seed, "default 1");
  command.add_option("--threads", request.threads, "default 2; the result is the same")
      ->check(CLI::Range(1, 1024));
  command.add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command.footer(
      "Example: moesim trace synth --like deepseek-v3 --tokens 65536 --domains code=0.5,chat=0.5 "
      "--out trace.safetensors");
  command.callback([arguments] { synth(*arguments); });
}

const Registered<TraceCommand> registered{
    "synth", "Draw a trace with the routing statistics of a model", {add_synth}};

}  // namespace
}  // namespace moesim
