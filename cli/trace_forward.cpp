// moesim trace forward: runs a model over texts and records where every token goes.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "sim/io/files.h"
#include "workloads/forward/forward.h"

namespace moesim {
namespace {

struct ForwardArguments {
  std::string model = "reference", texts = "reference", out;
  TraceRequest request;
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

void add_forward(CLI::App& command) {
  const auto arguments = std::make_shared<ForwardArguments>();
  command.add_option("--model", arguments->model,
                     "\"reference\" or a checkpoint folder (default: reference)");
  command.add_option("--texts", arguments->texts,
                     "\"reference\", a folder of <domain>.txt, or one file");
  command.add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command
      .add_option("--tokens", arguments->request.tokens_per_domain,
                  "tokens a domain (default: all)")
      ->check(CLI::Range(1, 1 << 30));
  command
      .add_option("--chunk", arguments->request.chunk_tokens, "tokens of one request (default 256)")
      ->check(CLI::Range(2, 1 << 20));
  command
      .add_option("--decode", arguments->request.decode_tokens,
                  "last tokens of each request run one by one")
      ->check(CLI::Range(0, 1 << 20));
  command
      .add_option("--threads", arguments->request.threads,
                  "default: all cores; the result is the same")
      ->check(CLI::Range(1, 1024));
  command.footer("Example: moesim trace forward --out trace.safetensors");
  command.callback([arguments] { trace_by_forward(*arguments); });
}

const Registered<TraceCommand> registered{
    "forward", "Run a model over texts and record where every token goes", {add_forward}};

}  // namespace
}  // namespace moesim
