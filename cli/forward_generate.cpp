// moesim forward generate: prints how a model goes on from a prompt.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/sampling_options.h"
#include "sim/io/files.h"
#include "workloads/forward/generate.h"
#include "workloads/forward/model_path.h"

namespace moesim {
namespace {

struct GenerateArguments {
  std::string model = "reference", prompt, prompt_file, tokenizer;
  bool past_end = false;
  GenerateOptions options;
};

std::vector<std::int32_t> prompt_tokens(const std::string& text,
                                        const std::string& name,
                                        const Tokenizer* tokenizer,
                                        int vocabulary) {
  constexpr int kByteVocabulary = 256;
  if (tokenizer != nullptr) return tokenizer->encode(text, name, Tokenizer::SpecialTokens::added);
  if (vocabulary != kByteVocabulary)
    throw InputError(
        fmt::format("{}: without a tokenizer a prompt is read as bytes, which needs a model with a "
                    "vocabulary of {}, not {}; give --tokenizer",
                    name, kByteVocabulary, vocabulary));
  std::vector<std::int32_t> tokens;
  tokens.reserve(text.size());
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

// Bytes as they are: a character may be spread over several tokens. An id that the tokenizer does
// not know (models pad their vocabularies) prints as its number.
std::string spelling(const Tokenizer* tokenizer, std::int32_t id) {
  if (tokenizer == nullptr) return {static_cast<char>(id)};
  try {
    return tokenizer->is_special(id) ? "" : tokenizer->token_bytes(id);
  } catch (const InputError&) {
    return fmt::format("<{}>", id);
  }
}

void go_on(GenerateArguments& arguments) {
  if (arguments.prompt.empty() == arguments.prompt_file.empty())
    throw InputError("give a prompt with --prompt TEXT or --prompt-file FILE, one of them");
  const bool from_file = arguments.prompt.empty();
  const std::string path = model_path(arguments.model, false);
  const std::unique_ptr<Tokenizer> tokenizer =
      arguments.tokenizer.empty()
          ? find_tokenizer(path)
          : std::make_unique<Tokenizer>(read_tokenizer_file(arguments.tokenizer));
  const ForwardModel model(path);
  const std::vector<std::int32_t> prompt = prompt_tokens(
      from_file ? read_text_file(arguments.prompt_file) : arguments.prompt,
      from_file ? arguments.prompt_file : "--prompt", tokenizer.get(), model.vocabulary());
  if (!arguments.past_end) arguments.options.stops = end_tokens(path);
  arguments.options.on_token = [&](std::int32_t id) {
    fmt::print("{}", spelling(tokenizer.get(), id));
    std::fflush(stdout);
  };
  generate(model, prompt, arguments.options);
  fmt::print("\n");
}

void add_generate(CLI::App& command) {
  const auto arguments = std::make_shared<GenerateArguments>();
  command.add_option("--model", arguments->model,
                     "\"reference\" or a checkpoint folder (default: reference)");
  command.add_option("--prompt", arguments->prompt, "the text to go on from");
  command.add_option("--prompt-file", arguments->prompt_file, "a file with that text");
  command.add_option("--tokenizer", arguments->tokenizer,
                     "tokenizer.json (default: the model folder's, else texts are bytes)");
  command.add_option("--tokens", arguments->options.tokens, "tokens at most (default 64)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_flag("--past-end", arguments->past_end,
                   "go on behind the model's end token (eos_token_id)");
  add_sampling_options(command, arguments->options.sampling);
  command
      .add_option("--threads", arguments->options.threads,
                  "default: all cores; the result is the same")
      ->check(CLI::Range(1, 1024));
  command.footer(
      "Example: moesim forward generate --prompt \"Once upon a time\" --tokens 100 --sample "
      "temperature --temperature 0.8");
  command.callback([arguments] { go_on(*arguments); });
}

const Registered<ForwardCommand> registered{
    "generate", "Print how a model goes on from a prompt", {add_generate}};

}  // namespace
}  // namespace moesim
