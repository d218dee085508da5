// moesim forward random: runs a configuration's layers at full shapes with random weights.
#include <fmt/format.h>

#include <memory>

#include "analysis/report/text_table.h"
#include "cli/commands.h"
#include "cli/layer_range.h"
#include "cli/peak_memory.h"
#include "workloads/forward/model_path.h"
#include "workloads/forward/random_run.h"

namespace moesim {
namespace {

struct RandomArguments {
  std::string model, layers;
  RandomRunRequest request;
};

void run(RandomArguments& arguments) {
  RandomRunRequest& request = arguments.request;
  if (!arguments.layers.empty()) {
    const auto [first, end] = read_layer_range(arguments.layers);
    if (end < 0)
      throw InputError("--layers " + arguments.layers + ": say where the layers end, as in 0:2");
    request.first_layer = first;
    request.end_layer = end;
  }
  const std::string path = model_path(arguments.model, true);
  const RandomRun run = run_random(path, request);
  fmt::print("{}: layers {}:{}, {} experts, top-{}, {} tokens\n\n", model_label(path),
             run.first_layer, run.end_layer, run.experts, run.top_k, request.tokens);
  std::vector<std::vector<std::string>> rows;
  for (const RandomLayerLoad& load : run.layers)
    rows.push_back({std::to_string(load.layer), std::to_string(load.token_copies),
                    std::to_string(load.experts_used), fmt::format("{:.2f}", load.max_over_mean)});
  fmt::print("{}",
             text_table({{"MoE layer"}, {"token copies"}, {"experts used"}, {"max / mean"}}, rows));
  fmt::print("\n{:.2f} s, {:.2f} GiB of memory at most\n", run.seconds, peak_memory_gib());
  if (!run.finite) throw CheckError("the logits are not finite");
}

void add_random(CLI::App& command) {
  const auto arguments = std::make_shared<RandomArguments>();
  command
      .add_option("model", arguments->model,
                  "config.json file, a folder with one, or a name of `moesim list models`")
      ->required();
  command.add_option("--layers", arguments->layers,
                     "a:b runs layers a to b-1 (default: two, of different kinds where there are)");
  command.add_option("--tokens", arguments->request.tokens, "tokens to prefill (default 16)")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--seed", arguments->request.seed, "of weights and tokens (default 1)");
  command
      .add_option("--threads", arguments->request.threads,
                  "default: all cores; the result is the same")
      ->check(CLI::Range(1, 1024));
  command.footer("Example: moesim forward random deepseek-v3 --layers 2:4 --tokens 64");
  command.callback([arguments] { run(*arguments); });
}

const Registered<ForwardCommand> registered{
    "random", "Run a configuration's layers at full shapes with random weights", {add_random}};

}  // namespace
}  // namespace moesim
