// moesim trace forward: runs a model over texts and records where every token goes.
#include "workloads/forward/trace_forward.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/layer_range.h"
#include "cli/peak_memory.h"
#include "cli/sampling_options.h"
#include "sim/io/files.h"
#include "workloads/forward/model_path.h"

namespace moesim {
namespace {

struct ForwardArguments {
  std::string model = "reference", texts = "reference", out, tokenizer, layers;
  TraceRequest request;
  std::optional<std::uint64_t> random_seed;
  bool router_only = false, text_holds_ids = false;
};

std::vector<DomainRequests> read_input(const ForwardArguments& arguments,
                                       const std::string& path,
                                       int vocabulary) {
  const std::string source =
      arguments.texts == "reference" ? data_path("workloads/reference/texts") : arguments.texts;
  const std::unique_ptr<Tokenizer> tokenizer =
      arguments.tokenizer.empty()
          ? find_tokenizer(path)
          : std::make_unique<Tokenizer>(read_tokenizer_file(arguments.tokenizer));
  TokenReading reading;
  reading.vocabulary = vocabulary;
  reading.tokenizer = tokenizer.get();
  reading.text_holds_ids = arguments.text_holds_ids;
  return read_token_texts(source, reading);
}

// Only for a person who watches.
TraceProgress terminal_progress() {
  if (::isatty(STDERR_FILENO) != 1) return {};
  return [](std::int64_t done, std::int64_t of) {
    fmt::print(stderr, "\r{} of {} tokens{}", done, of, done == of ? "\n" : "");
    std::fflush(stderr);
  };
}

void print_summary(const std::string& out, const ForwardTrace& made, double seconds) {
  const RoutingTrace& trace = made.trace;
  fmt::print("{}: {} tokens, {} MoE layers, {} experts, top-{}\n", out, trace.tokens(),
             trace.moe_layers(), trace.header.experts, trace.header.top_k);
  fmt::print("{:.1f} s, {:.0f} tokens/s, {:.2f} GiB of memory at most\n\n", seconds,
             static_cast<double>(trace.tokens()) / seconds, peak_memory_gib());
  fmt::print("{}", balance_losses_text(made.losses));
}

void trace_by_forward(ForwardArguments& arguments) {
  check_writable(arguments.out);
  TraceRequest& request = arguments.request;
  if (arguments.router_only && request.generate_tokens > 0)
    throw InputError(
        "--router-only stops behind the last router, but --generate needs the logits behind it; "
        "give one of them");
  if (!arguments.layers.empty()) {
    const auto [first, end] = read_layer_range(arguments.layers);
    request.first_layer = first;
    request.end_layer = end;
  }
  const std::string path = model_path(arguments.model, arguments.random_seed.has_value());
  LoadOptions options = load_options(request);
  options.random_seed = arguments.random_seed;
  const ForwardModel model(path, options);
  const std::vector<DomainRequests> texts = read_input(arguments, path, model.vocabulary());
  const auto start = std::chrono::steady_clock::now();
  ForwardTrace made = trace_forward(model, model_label(path), texts, request, terminal_progress());
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  if (arguments.random_seed)
    made.trace.header.notes.push_back(
        fmt::format("The weights were drawn from seed {}.", *arguments.random_seed));
  write_trace(arguments.out, made.trace);
  print_summary(arguments.out, made, taken.count());
}

void add_input_options(CLI::App& command, ForwardArguments& arguments) {
  command.add_option("--model", arguments.model,
                     "\"reference\" or a checkpoint folder (default: reference); with --random "
                     "also a config.json or a shipped model's name");
  command.add_option("--random", arguments.random_seed,
                     "draw the weights from this seed instead of reading them");
  command.add_option("--texts", arguments.texts,
                     "\"reference\", a folder of <domain>.txt, .json or .npy, or one file");
  command.add_option("--tokenizer", arguments.tokenizer,
                     "tokenizer.json (default: the model folder's, else texts are bytes)");
  command.add_flag("--ids", arguments.text_holds_ids, ".txt holds token ids, a request a line");
  command.add_option("--out", arguments.out, "trace file to write (.safetensors)")->required();
  command
      .add_option("--tokens", arguments.request.tokens_per_domain, "tokens a domain (default: all)")
      ->check(CLI::Range(1, 1 << 30));
  command
      .add_option("--chunk", arguments.request.chunk_tokens,
                  "texts are cut into requests of so many tokens (default 256)")
      ->check(CLI::Range(2, 1 << 20));
}

void add_run_options(CLI::App& command, ForwardArguments& arguments) {
  TraceRequest& request = arguments.request;
  command
      .add_option("--prefill-chunk", request.prefill_chunk_tokens,
                  "prefill in pieces of so many tokens (default: at once)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--batch", request.batch, "requests that run together (default 1)")
      ->check(CLI::Range(1, 1 << 16));
  command
      .add_option("--decode", request.decode_tokens, "last tokens of each request run one by one")
      ->check(CLI::Range(0, 1 << 20));
  command
      .add_option("--generate", request.generate_tokens,
                  "tokens to generate behind each request, recorded too")
      ->check(CLI::Range(0, 1 << 20));
  add_sampling_options(command, request.sampling);
  command.add_option("--layers", arguments.layers,
                     "a:b records transformer layers a to b-1 and stops behind them");
  command.add_flag("--router-only", arguments.router_only,
                   "stop behind the last recorded router (always so without --generate)");
  command.add_option("--threads", request.threads, "default: all cores; the result is the same")
      ->check(CLI::Range(1, 1024));
}

void add_forward(CLI::App& command) {
  const auto arguments = std::make_shared<ForwardArguments>();
  add_input_options(command, *arguments);
  add_run_options(command, *arguments);
  command.footer(
      "Examples: moesim trace forward --out trace.safetensors\n"
      "          moesim trace forward --model olmoe-1b-7b --random 1 --layers 0:2 --texts ids.json "
      "--out trace.safetensors");
  command.callback([arguments] { trace_by_forward(*arguments); });
}

const Registered<TraceCommand> registered{
    "forward", "Run a model over texts and record where every token goes", {add_forward}};

}  // namespace
}  // namespace moesim
