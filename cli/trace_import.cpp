// moesim trace import: routing that an engine recorded becomes a trace file.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>

#include "cli/commands.h"
#include "sim/io/files.h"
#include "sim/model/moe_model.h"
#include "workloads/traces/importer.h"

namespace moesim {
namespace {

struct ImportArguments {
  std::vector<std::string> files;
  std::string out, format, layers;
  ImportOptions options;
};

int layer_number(std::string_view text, const std::string& all) {
  constexpr int kMostLayer = 1 << 20;
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || value < 0 ||
      value > kMostLayer)
    throw InputError(fmt::format(
        "--layers {}: \"{}\" is no layer; write a range \"3:61\" (61 not included) or a list "
        "\"0,7,15\"",
        all, text));
  return value;
}

std::vector<int> read_layers(const std::string& text) {
  std::vector<int> layers;
  if (text.empty()) return layers;
  if (const std::size_t colon = text.find(':'); colon != std::string::npos) {
    const int begin = layer_number(std::string_view(text).substr(0, colon), text);
    const int end = layer_number(std::string_view(text).substr(colon + 1), text);
    if (end <= begin) throw InputError(fmt::format("--layers {}: the range is empty", text));
    for (int layer = begin; layer < end; ++layer) layers.push_back(layer);
    return layers;
  }
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    layers.push_back(layer_number(rest.substr(0, comma), text));
    if (comma == std::string_view::npos) return layers;
    rest.remove_prefix(comma + 1);
  }
}

// What a known model says of itself fills in what the user did not.
void fill_from_model(ImportOptions& options) {
  const std::vector<std::string> names = model_names();
  const bool known = std::find(names.begin(), names.end(), options.model) != names.end();
  if (options.model.empty() || (!known && !std::filesystem::exists(options.model))) return;
  const MoeModel model = load_model(options.model);
  options.model = model.name;
  if (options.experts == 0) options.experts = static_cast<int>(model.experts);
  if (options.top_k == 0) options.top_k = static_cast<int>(model.top_k);
  for (const std::size_t layer : model.moe_layers())
    options.model_layers.push_back(static_cast<int>(layer));
}

void import_files(ImportArguments arguments) {
  check_writable(arguments.out, arguments.files);
  arguments.options.layers = read_layers(arguments.layers);
  fill_from_model(arguments.options);
  std::vector<MappedFile> mapped;
  std::vector<ImportFile> files;
  mapped.reserve(arguments.files.size());
  files.reserve(arguments.files.size());
  for (const std::string& path : arguments.files) {
    mapped.emplace_back(path);
    files.push_back({path, mapped.back().bytes()});
  }
  ImportedTrace imported = import_trace(files, arguments.format, arguments.options);
  const RoutingTrace trace = make_trace(std::move(imported.columns));
  write_trace(arguments.out, trace);
  fmt::print("{}: {} tokens, {} MoE layers, {} experts, top-{}\n", arguments.out, trace.tokens(),
             trace.moe_layers(), trace.header.experts, trace.header.top_k);
  for (const std::string& note : trace.header.notes) fmt::print("note: {}\n", note);
}

void add_import(CLI::App& command) {
  const auto arguments = std::make_shared<ImportArguments>();
  ImportOptions& options = arguments->options;
  command.add_option("files", arguments->files, "recorded files, all of one recording")->required();
  command.add_option("--out", arguments->out, "trace file to write (.safetensors)")->required();
  command.add_option("--format", arguments->format,
                     "see \"moesim list importers\" (default: what the files look like)");
  command.add_option("--model", options.model,
                     "name for the trace; a model of \"moesim list models\" or a config.json also "
                     "gives experts, top-k and layers");
  command.add_option("--layers", arguments->layers,
                     "transformer layers of the recorded ones: 3:61 or 0,7,15");
  command
      .add_option("--experts", options.experts, "experts of a layer, where the files do not say")
      ->check(CLI::Range(1, 65534));
  command.add_option("--domain", options.domain, "name of what was recorded (default: all)");
  command.add_option("--tokens", options.tokens, "tokens to draw from counts")
      ->check(CLI::Range(1, 1 << 28));
  command.add_option("--top-k", options.top_k, "experts of a token, where counts do not say")
      ->check(CLI::Range(1, 65534));
  command.add_option("--seed", options.seed, "of the tokens drawn from counts (default 1)");
  command
      .add_option("--prompt-tokens", options.prompt_tokens,
                  "vLLM arrays of whole sequences: rows from this one on are decode")
      ->check(CLI::Range(1, 1 << 28));
  command.footer("Example: moesim trace import dump.pt --out trace.safetensors");
  command.callback([arguments] { import_files(*arguments); });
}

const Registered<TraceCommand> registered{
    "import", "Make a trace of routing that an engine recorded", {add_import}};

}  // namespace
}  // namespace moesim
