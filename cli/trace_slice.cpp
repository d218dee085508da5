// moesim trace slice: the rows and layers of a trace that satisfy every filter.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "cli/commands.h"
#include "sim/trace/slice_trace.h"

namespace moesim {
namespace {

struct SliceArguments {
  std::string file, out, tokens, requests, steps, positions, phase;
  std::vector<std::string> layers, domains;
};

std::optional<NumberRange> range_of(const std::string& text, const char* option) {
  if (text.empty()) return std::nullopt;
  return parse_range(text, option);
}

SliceFilters filters_of(const SliceArguments& arguments) {
  SliceFilters filters;
  filters.tokens = range_of(arguments.tokens, "--tokens");
  filters.requests = range_of(arguments.requests, "--requests");
  filters.steps = range_of(arguments.steps, "--steps");
  filters.positions = range_of(arguments.positions, "--positions");
  filters.domains = arguments.domains;
  for (const std::string& layers : arguments.layers)
    filters.layers.push_back(parse_range(layers, "--layers"));
  if (arguments.phase == "prefill") filters.phase = Phase::prefill;
  if (arguments.phase == "decode") filters.phase = Phase::decode;
  return filters;
}

void slice(const SliceArguments& arguments) {
  const RoutingTrace trace = open_trace(arguments.file);
  const PickedRows picked = slice_trace(trace, arguments.file, filters_of(arguments));
  write_picked(arguments.out, picked);
  fmt::print("{}: {} of {} tokens, {} of {} MoE layers, domains {}\n", arguments.out,
             picked.tokens(), trace.tokens(), picked.header.layer_ids.size(), trace.moe_layers(),
             fmt::join(picked.header.domains, ", "));
}

void add_slice(CLI::App& command) {
  const auto arguments = std::make_shared<SliceArguments>();
  command.add_option("file", arguments->file, "trace file")->required();
  command.add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command.add_option("--tokens", arguments->tokens, "rows a:b, the end left out; also a:, :b, a");
  command.add_option("--requests", arguments->requests, "request ids a:b");
  command.add_option("--steps", arguments->steps, "steps a:b");
  command.add_option("--positions", arguments->positions, "positions in the request a:b");
  command
      .add_option("--layers", arguments->layers,
                  "transformer layers, such as 3,5 or 10:20 (default: all of the trace's)")
      ->delimiter(',');
  command.add_option("--domains", arguments->domains, "domain names, such as code,prose")
      ->delimiter(',');
  command.add_option("--phase", arguments->phase, "prefill or decode")
      ->check(CLI::IsMember({"prefill", "decode"}));
  command.footer(
      "A row stays when it satisfies every filter.\n"
      "Example: moesim trace slice trace.safetensors --domains code --phase decode --out "
      "code.safetensors");
  command.callback([arguments] { slice(*arguments); });
}

const Registered<TraceCommand> registered{
    "slice", "Cut rows and layers out of a trace by what they are", {add_slice}};

}  // namespace
}  // namespace moesim
