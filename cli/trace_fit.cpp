// moesim trace fit: measures how a trace routes and makes a profile of it for trace synth.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "analysis/report/text_table.h"
#include "cli/commands.h"
#include "sim/io/files.h"
#include "workloads/traces/synth_fit.h"

namespace moesim {
namespace {

struct FitArguments {
  std::string file, out;
  FitOptions options;
  bool json = false;
};

std::string rows_text(const std::vector<FitRow>& rows) {
  std::vector<std::vector<std::string>> cells;
  cells.reserve(rows.size());
  for (const FitRow& row : rows)
    cells.push_back({row.layer < 0 ? "all" : std::to_string(row.layer), row.statistic,
                     fmt::format("{:.3f}", row.target), fmt::format("{:.3f}", row.reached),
                     fmt::format("{:+.1f} %", 100 * (row.reached / row.target - 1))});
  return text_table({{"MoE layer", 9}, {"share", 22}, {"trace", 8}, {"synthetic", 9}, {"apart", 9}},
                    cells);
}

std::string rows_json(const std::vector<FitRow>& rows) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const FitRow& row : rows) {
    json.push_back(
        {{"statistic", row.statistic}, {"trace", row.target}, {"synthetic", row.reached}});
    if (row.layer >= 0) json.back()["moe_layer"] = row.layer;
  }
  return json.dump(1) + "\n";
}

void fit(const FitArguments& arguments) {
  check_writable(arguments.out, std::span(&arguments.file, 1));
  const RoutingTrace trace = open_trace(arguments.file);
  const FittedProfile fitted = fit_profile(trace, arguments.options);
  write_file(arguments.out, profile_json(fitted.profile));
  if (arguments.json) {
    fmt::print("{}", rows_json(fitted.rows));
    return;
  }
  fmt::print("{}\n{}: draw from it with moesim trace synth --profile {}\n", rows_text(fitted.rows),
             arguments.out, arguments.out);
}

void add_fit(CLI::App& command) {
  const auto arguments = std::make_shared<FitArguments>();
  FitOptions& options = arguments->options;
  command.add_option("file", arguments->file, "trace file")->required();
  command.add_option("--out", arguments->out, "profile to write (.json)")->required();
  command
      .add_option("--groups", options.groups,
                  "groups of experts, where the model limits routing to groups (default 1)")
      ->check(CLI::Range(1, 64));
  command.add_option("--kept-groups", options.kept_groups, "groups that a token may reach")
      ->check(CLI::Range(1, 64));
  command.add_option("--rounds", options.rounds, "rounds of the solver (default 24)")
      ->check(CLI::Range(1, 1000));
  command.add_option("--threads", options.threads, "default 2; the result is the same")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--json", arguments->json, "print the table as JSON");
  command.footer("Example: moesim trace fit trace.safetensors --out profile.json");
  command.callback([arguments] { fit(*arguments); });
}

const Registered<TraceCommand> registered{
    "fit", "Measure how a trace routes, to draw traces like it", {add_fit}};

}  // namespace
}  // namespace moesim
