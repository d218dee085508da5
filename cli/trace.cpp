// moesim trace: makes routing traces by forward pass and shows what a trace holds.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <thread>

#include "analysis/metrics/trace_charts.h"
#include "analysis/metrics/trace_stats_text.h"
#include "analysis/report/page.h"
#include "cli/commands.h"
#include "sim/core/error.h"
#include "sim/io/files.h"
#include "sim/trace/trace_stats.h"
#include "workloads/forward/forward.h"

namespace moesim {
namespace {

struct ForwardArguments {
  std::string model = "reference", texts = "reference", out;
  TraceRequest request;
};

struct StatsArguments {
  std::string file, chart;
  bool verify = false;
};

void trace_by_forward(const ForwardArguments& arguments) {
  const std::string folder =
      arguments.model == "reference" ? data_path("workloads/reference/model") : arguments.model;
  const std::string source =
      arguments.texts == "reference" ? data_path("workloads/reference/texts") : arguments.texts;
  if (!std::filesystem::is_directory(folder)) {
    throw InputError(
        folder +
        " is no folder; --model takes \"reference\" or a folder with config.json and weights");
  }
  const ForwardModel model(folder);
  const auto texts = read_texts(source, model.vocabulary());
  const RoutingTrace trace = trace_forward(folder, texts, arguments.request);
  write_trace(arguments.out, trace);
  fmt::print("{}: {} tokens, {} MoE layers, {} experts, top-{}\n", arguments.out, trace.tokens(),
             trace.moe_layers(), trace.header.experts, trace.header.top_k);
}

void print_stats(const StatsArguments& arguments) {
  const RoutingTrace trace = open_trace(arguments.file, arguments.verify);
  const TraceStats stats =
      trace_stats(trace, static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  fmt::print("{}", stats_text(stats));
  if (arguments.chart.empty()) return;
  write_file(arguments.chart, html_page("Routing of " + arguments.file, "", trace_charts(stats)));
  fmt::print("Charts: {}\n", arguments.chart);
}

void add_forward(CLI::App& trace) {
  const auto arguments = std::make_shared<ForwardArguments>();
  CLI::App* command =
      trace.add_subcommand("forward", "Run a model over texts and record where every token goes");
  command->add_option("--model", arguments->model,
                      "\"reference\" or a checkpoint folder (default: reference)");
  command->add_option("--texts", arguments->texts,
                      "\"reference\", a folder of <domain>.txt, or one file");
  command->add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command
      ->add_option("--tokens", arguments->request.tokens_per_domain,
                   "tokens a domain (default: all)")
      ->check(CLI::Range(1, 1 << 30));
  command
      ->add_option("--chunk", arguments->request.chunk_tokens,
                   "tokens of one request (default 256)")
      ->check(CLI::Range(2, 1 << 20));
  command
      ->add_option("--decode", arguments->request.decode_tokens,
                   "last tokens of each request run one by one")
      ->check(CLI::Range(0, 1 << 20));
  command
      ->add_option("--threads", arguments->request.threads,
                   "default: all cores; the result is the same")
      ->check(CLI::Range(1, 1024));
  command->footer("Example: moesim trace forward --out trace.safetensors");
  command->callback([arguments] { trace_by_forward(*arguments); });
}

void add_stats(CLI::App& trace) {
  const auto arguments = std::make_shared<StatsArguments>();
  CLI::App* command =
      trace.add_subcommand("stats", "Show load, skew, affinity and locality of a trace");
  command->add_option("file", arguments->file, "trace file")->required();
  command->add_option("--chart", arguments->chart,
                      "also write a page with charts to this file (.html)");
  command->add_flag("--verify", arguments->verify,
                    "check every expert id and the SHA-256 of the data first");
  command->footer("Example: moesim trace stats trace.safetensors --chart trace.html");
  command->callback([arguments] { print_stats(*arguments); });
}

}  // namespace

void add_trace(CLI::App& app) {
  CLI::App* trace = app.add_subcommand("trace", "Make and inspect routing traces");
  trace->require_subcommand(1);
  add_forward(*trace);
  add_stats(*trace);
}

}  // namespace moesim
