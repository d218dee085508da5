// moesim schema: what a scenario file may say, for editors and other programs.
#include "sim/scenario/schema.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace moesim {
namespace {

void add_schema(CLI::App& command) {
  const auto training = std::make_shared<bool>(false);
  command.add_flag("--training", *training, "of the files that moesim train reads");
  const auto page = std::make_shared<bool>(false);
  command.add_flag("--page", *page, "print all keys as a page for people instead (Markdown)");
  command.footer(
      "Example: moesim schema > scenario.schema.json\n"
      "An editor completes and checks a file that begins with {\"$schema\": "
      "\"scenario.schema.json\"}.");
  command.callback([training, page] {
    if (*page) return fmt::print("{}", schema_page());
    const auto kind = *training ? ScenarioKind::training : ScenarioKind::serving;
    fmt::print("{}\n", json_schema(kind).dump(1));
  });
}

const Registered<Command> registered{
    "schema", "Print the JSON Schema of a scenario file", {add_schema}};

}  // namespace
}  // namespace moesim
