// moesim trace stats: load, skew, affinity and locality of a trace, as text and as charts.
#include "sim/trace/trace_stats.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <span>
#include <thread>

#include "analysis/metrics/trace_charts.h"
#include "analysis/metrics/trace_stats_text.h"
#include "analysis/report/page.h"
#include "cli/commands.h"
#include "sim/io/files.h"

namespace moesim {
namespace {

struct StatsArguments {
  std::string file;
  std::optional<std::string> chart;
  bool verify = false, json = false;
};

void print_stats(const StatsArguments& arguments) {
  if (arguments.chart) check_writable(*arguments.chart, std::span(&arguments.file, 1));
  const RoutingTrace trace = open_trace(arguments.file, arguments.verify);
  const TraceStats stats =
      trace_stats(trace, static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  fmt::print("{}", arguments.json ? stats_json(stats) : stats_text(stats));
  if (!arguments.chart) return;
  write_file(*arguments.chart, html_page("Routing of " + arguments.file, "", trace_charts(stats)));
  if (!arguments.json) fmt::print("Charts: {}\n", *arguments.chart);
}

void add_stats(CLI::App& command) {
  const auto arguments = std::make_shared<StatsArguments>();
  command.add_option("file", arguments->file, "trace file")->required();
  command.add_option("--chart", arguments->chart,
                     "also write a page with charts to this file (.html)");
  command.add_flag("--verify", arguments->verify,
                   "check every expert id and the SHA-256 of the data first");
  command.add_flag("--json", arguments->json, "print the figures as one JSON object");
  command.footer("Example: moesim trace stats trace.safetensors --chart trace.html");
  command.callback([arguments] { print_stats(*arguments); });
}

const Registered<TraceCommand> registered{
    "stats", "Show load, skew, affinity and locality of a trace", {add_stats}};

}  // namespace
}  // namespace moesim
