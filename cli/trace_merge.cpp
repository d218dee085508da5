// moesim trace merge: several traces of one model shape as one.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "cli/commands.h"
#include "sim/trace/merge_traces.h"

namespace moesim {
namespace {

struct MergeArguments {
  std::vector<std::string> files;
  std::string out, order = "concatenate";
  MergeOptions options;
};

// A column that only some of the traces have cannot stay; say which of them lacks it.
void report_dropped(const PickedRows& picked) {
  const auto report = [&](const char* column, bool kept, const auto& lacks) {
    const auto& sources = picked.sources;
    if (kept || std::all_of(sources.begin(), sources.end(), lacks)) return;
    for (const PickedSource& source : sources)
      if (lacks(source)) fmt::print("{} is left out: {} has none\n", column, source.name);
  };
  report("weights", picked.keep_weights,
         [](const PickedSource& source) { return source.trace.weights.empty(); });
  report("source_rank", picked.keep_source_rank,
         [](const PickedSource& source) { return source.trace.source_rank.empty(); });
}

void merge(const MergeArguments& arguments) {
  std::vector<NamedTrace> traces;
  traces.reserve(arguments.files.size());
  for (const std::string& file : arguments.files) traces.push_back({file, open_trace(file)});
  MergeOptions options = arguments.options;
  options.order =
      arguments.order == "interleave" ? MergeOrder::interleave : MergeOrder::concatenate;
  const PickedRows picked = merge_traces(traces, options);
  write_picked(arguments.out, picked);
  std::size_t requests = 0;
  for (const PickedSource& source : picked.sources) requests += source.requests.size();
  fmt::print("{}: {} tokens of {} requests from {} traces, domains {}\n", arguments.out,
             picked.tokens(), requests, traces.size(), fmt::join(picked.header.domains, ", "));
  report_dropped(picked);
}

void add_merge(CLI::App& command) {
  const auto arguments = std::make_shared<MergeArguments>();
  command.add_option("files", arguments->files, "two or more trace files")->required();
  command.add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command
      .add_option("--order", arguments->order,
                  "concatenate: one after another, steps go on (default); interleave: rows mixed "
                  "by the seed, steps stay")
      ->check(CLI::IsMember({"concatenate", "interleave"}));
  command
      .add_option("--weights", arguments->options.weights,
                  "shares of the tokens, one a trace, such as 0.7,0.3 (default: all of each)")
      ->delimiter(',');
  command.add_option("--seed", arguments->options.seed, "of the interleaving (default 0)");
  command.footer(
      "Example: moesim trace merge code.safetensors prose.safetensors --weights 0.7,0.3 --order "
      "interleave --out mix.safetensors");
  command.callback([arguments] { merge(*arguments); });
}

const Registered<TraceCommand> registered{
    "merge", "Join traces of one model shape: requests renumbered, domains united", {add_merge}};

}  // namespace
}  // namespace moesim
