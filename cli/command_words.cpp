// CLI11's tree of subcommands as plain values.
#include "cli/command_words.h"

#include <algorithm>

#include "cli/listings.h"

namespace moesim {
namespace {

// The names that a description speaks of by "moesim list <kind>".
std::vector<std::string> listed_names(const std::string& description) {
  const std::string lead = "moesim list ";
  const std::size_t at = description.find(lead);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + lead.size();
  const std::size_t end = description.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", begin);
  const std::string kind = description.substr(begin, end - begin);
  std::vector<std::string> names;
  for (const Listing& listing : listings())
    if (kind == listing.kind)
      for (const ListedName& one : listing.entries()) names.push_back(one.name);
  return names;
}

// CLI11 shows the choices of an option as its type: "{a,b}", perhaps behind "TEXT:".
std::vector<std::string> choices(const std::string& type) {
  const std::size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

ArgumentWords words_of(const CLI::Option& option) {
  ArgumentWords words;
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  if (words.names.empty()) words.names.push_back(option.get_name());
  words.description = option.get_description();
  words.required = option.get_required();
  words.repeats = option.get_items_expected_max() > 1;
  if (option.get_type_size_max() == 0 || option.get_items_expected_max() == 0) return words;
  const std::string type = option.get_type_name();
  words.values = choices(type);
  if (words.values.empty()) words.values = listed_names(words.description);
  if (!words.values.empty())
    words.kind = ArgumentKind::name;
  else
    words.kind = type.starts_with("TEXT") ? ArgumentKind::file : ArgumentKind::number;
  return words;
}

void add_command(const CLI::App& command, const std::string& path, std::vector<CommandWords>& all) {
  CommandWords words;
  words.path = path;
  words.description = command.get_description();
  words.footer = command.get_footer();
  for (const CLI::Option* option : command.get_options())
    (option->get_positional() ? words.positions : words.options).push_back(words_of(*option));
  const auto subcommands = command.get_subcommands({});
  for (const CLI::App* subcommand : subcommands)
    words.subcommands.push_back(subcommand->get_name());
  all.push_back(std::move(words));
  for (const CLI::App* subcommand : subcommands)
    add_command(*subcommand, path + (path.empty() ? "" : " ") + subcommand->get_name(), all);
}

}  // namespace

std::vector<CommandWords> command_words(const CLI::App& program) {
  std::vector<CommandWords> all;
  add_command(program, "", all);
  for (CommandWords& words : all)  // `moesim list` takes the kinds of lists
    if (words.path == "list" && !words.positions.empty()) {
      words.positions.front().kind = ArgumentKind::name;
      for (const Listing& listing : listings())
        words.positions.front().values.emplace_back(listing.kind);
    }
  return all;
}

}  // namespace moesim
