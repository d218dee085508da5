// moesim forward check: holds model folders, or router cases, against recorded outputs.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "workloads/forward/check/golden_check.h"
#include "workloads/forward/check/router_check.h"

namespace moesim {
namespace {

struct CheckArguments {
  std::vector<std::string> folders, router_files;
  CheckTolerance tolerance;
  bool json = false;
};

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

// Differences are the largest absolute ones; null where nothing is recorded to compare with.
Json json_of(const RouterCheck& check) {
  return {{"name", check.name},
          {"router", check.router},
          {"tokens", check.tokens},
          {"wrong_indices", check.wrong_indices},
          {"skipped", check.skipped},
          {"router_logits_difference", number_or_null(check.router_logits)},
          {"weights_difference", number_or_null(check.weights)},
          {"block_output_difference", number_or_null(check.block_output)},
          {"passed", check.passed}};
}

Json json_of(const FolderCheck& check) {
  return {{"folder", check.folder},
          {"model_type", check.model_type},
          {"prompts", check.prompts},
          {"tokens", check.tokens},
          {"moe_layers", check.moe_layers},
          {"logits_difference", number_or_null(check.logits)},
          {"router_logits_difference", number_or_null(check.router_logits)},
          {"weights_difference", number_or_null(check.weights)},
          {"block_inputs_difference", number_or_null(check.block_inputs)},
          {"block_outputs_difference", number_or_null(check.block_outputs)},
          {"indices", check.indices},
          {"wrong_indices", check.wrong_indices},
          {"near_ties", check.near_ties},
          {"passed", check.passed}};
}

template <class Check>
void print_json(const std::vector<Check>& checks) {
  Json json = Json::array();
  for (const Check& check : checks) json.push_back(json_of(check));
  fmt::print("{}\n", json.dump(1));
  std::fflush(stdout);
}

void check_router_files(const CheckArguments& arguments) {
  std::size_t failed = 0;
  std::vector<RouterCheck> all;
  for (const std::string& file : arguments.router_files) {
    const std::vector<RouterCheck> checks = check_router_cases(file);
    if (!arguments.json) fmt::print("{}", router_check_text(checks));
    for (const RouterCheck& check : checks) failed += check.passed ? 0 : 1;
    all.insert(all.end(), checks.begin(), checks.end());
  }
  if (arguments.json) print_json(all);
  if (failed > 0) throw CheckError(fmt::format("{} router cases failed", failed));
}

void check_folders(const CheckArguments& arguments) {
  std::vector<FolderCheck> checks;
  std::size_t failed = 0;
  for (const std::string& folder : arguments.folders) {
    checks.push_back(check_folder(folder, arguments.tolerance));
    failed += checks.back().passed ? 0 : 1;
  }
  if (arguments.json)
    print_json(checks);
  else
    fmt::print("{}", check_text(checks, arguments.tolerance));
  if (failed > 0) throw CheckError(fmt::format("{} of {} folders failed", failed, checks.size()));
}

void check(const CheckArguments& arguments) {
  if (arguments.folders.empty() == arguments.router_files.empty())
    throw InputError("give model folders, or router cases with --router FILE");
  if (!arguments.router_files.empty())
    check_router_files(arguments);
  else
    check_folders(arguments);
}

void add_check(CLI::App& command) {
  const auto arguments = std::make_shared<CheckArguments>();
  command.add_option("folders", arguments->folders,
                     "folders with config.json, weights, expected.json (and expected.safetensors)");
  command.add_option("--router", arguments->router_files, "a file of router cases (JSON)");
  const auto tolerance = [&](const char* name, double& value, const char* what) {
    command
        .add_option(name, value,
                    fmt::format("largest difference of {} (default {:.0e})", what, value))
        ->check([](const std::string& text) {
          double number = 0;
          const bool valid = CLI::detail::lexical_cast(text, number) && number >= 0;
          return valid ? std::string() : text + " is no number of 0 or more";
        });
  };
  tolerance("--logits", arguments->tolerance.logits, "logits");
  tolerance("--router-logits", arguments->tolerance.router_logits, "router logits");
  tolerance("--weights", arguments->tolerance.weights, "routing weights");
  tolerance("--blocks", arguments->tolerance.blocks, "MoE block inputs and outputs");
  command.add_flag("--json", arguments->json, "print the table as JSON");
  command.footer("Example: moesim forward check my-conversion/ --logits 1e-4");
  command.callback([arguments] { check(*arguments); });
}

const Registered<ForwardCommand> registered{
    "check", "Compare model folders or router cases with recorded outputs", {add_check}};

}  // namespace
}  // namespace moesim
