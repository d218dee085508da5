// moesim completion: scripts by which a shell completes subcommands, options, names and files.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "cli/command_words.h"
#include "cli/commands.h"

namespace moesim {
namespace {

using Commands = std::vector<CommandWords>;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string option_names(const CommandWords& command) {
  std::vector<std::string> names;
  for (const ArgumentWords& option : command.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return joined(names);
}

// "'run'|'trace'|'trace forward'", of what comes behind the program's name.
std::string paths(const Commands& commands) {
  std::string text;
  for (const CommandWords& command : commands)
    if (!command.path.empty()) text += fmt::format("{}'{}'", text.empty() ? "" : "|", command.path);
  return text;
}

// A branch for each option with a value: `names` and `files` say how a shell offers them, a number
// is offered nothing.
struct Offers {
  std::function<std::string(const std::string& words)> names;
  std::string files;
};

std::string offer_of(const ArgumentWords& argument, const Offers& offers) {
  switch (argument.kind) {
    case ArgumentKind::name:
      return offers.names(joined(argument.values));
    case ArgumentKind::file:
      return offers.files;
    default:
      return ":";
  }
}

std::string value_branches(const Commands& commands, const Offers& offers) {
  std::string text;
  for (const CommandWords& command : commands) {
    for (const ArgumentWords& option : command.options) {
      if (option.kind == ArgumentKind::none) continue;
      std::string words;
      for (const std::string& name : option.names)
        words += fmt::format("{}'{} {}'", words.empty() ? "" : "|", command.path, name);
      text += fmt::format("    {}) {}; return ;;\n", words, offer_of(option, offers));
    }
  }
  return text;
}

std::string option_branches(const Commands& commands, const Offers& offers) {
  std::string text;
  for (const CommandWords& command : commands)
    text += fmt::format("      '{}') {} ;;\n", command.path, offers.names(option_names(command)));
  return text;
}

// Subcommands, or names of the first argument; files where it may be one.
std::string word_branches(const Commands& commands, const Offers& offers) {
  std::string text;
  for (const CommandWords& command : commands) {
    std::string offer;
    if (!command.subcommands.empty())
      offer = offers.names(joined(command.subcommands));
    else if (!command.positions.empty())
      offer = offer_of(command.positions.front(), offers);
    if (offer.empty()) continue;
    const bool file_too = !command.positions.empty() &&
                          command.positions.front().kind == ArgumentKind::name &&
                          command.positions.front().description.find("file") != std::string::npos;
    if (file_too) offer += "; " + offers.files;
    text += fmt::format("      '{}') {} ;;\n", command.path, offer);
  }
  return text;
}

std::string bash_script(const Commands& commands) {
  const Offers offers{[](const std::string& words) { return fmt::format("offer \"{}\"", words); },
                      "files"};
  return fmt::format(
      R"(# bash completion of moesim {}: made by `moesim completion bash`.
_moesim() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD - 1]}}"
  local command="" word
  offer() {{ mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -W "$1" -- "$current"); }}
  files() {{
    mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames 2>/dev/null
  }}
  COMPREPLY=()
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "${{command:+$command }}$word" in
      {}) command="${{command:+$command }}$word" ;;
    esac
  done
  case "$command $previous" in
{}  esac
  if [[ $current == -* ]]; then
    case "$command" in
{}    esac
  else
    case "$command" in
{}    esac
  fi
}}
complete -F _moesim moesim
)",
      MOESIM_VERSION, paths(commands), value_branches(commands, offers),
      option_branches(commands, offers), word_branches(commands, offers));
}

std::string zsh_script(const Commands& commands) {
  const Offers offers{[](const std::string& words) { return "compadd -- " + words; }, "_files"};
  return fmt::format(
      R"(#compdef moesim
# zsh completion of moesim {}: made by `moesim completion zsh`.
_moesim() {{
  local command="" word
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "${{command:+$command }}$word" in
      ({}) command="${{command:+$command }}$word" ;;
    esac
  done
  case "$command ${{words[CURRENT-1]}}" in
{}  esac
  if [[ ${{words[CURRENT]}} == -* ]]; then
    case "$command" in
{}    esac
  else
    case "$command" in
{}    esac
  fi
}}
if [[ ${{funcstack[1]}} == _moesim ]]; then _moesim "$@"; else compdef _moesim moesim; fi
)",
      MOESIM_VERSION, paths(commands), value_branches(commands, offers),
      option_branches(commands, offers), word_branches(commands, offers));
}

// As fish quotes: a quote inside is escaped.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') out += '\\';
    out += letter == '\n' ? ' ' : letter;
  }
  return out + "'";
}

std::string fish_option(const CommandWords& command, const ArgumentWords& option) {
  std::string line = fmt::format("complete -c moesim -n '__moesim_at \"{}\"'", command.path);
  for (const std::string& name : option.names) {
    const bool is_long = name.starts_with("--");
    line += fmt::format(" -{} {}", is_long ? "l" : "s", name.substr(is_long ? 2 : 1));
  }
  if (option.kind == ArgumentKind::file) line += " -r -F";
  if (option.kind == ArgumentKind::number) line += " -x";
  if (option.kind == ArgumentKind::name) line += " -x -a " + quoted(joined(option.values));
  return line + " -d " + quoted(option.description) + "\n";
}

// By the words so far, the command that the next one belongs to.
std::string fish_commands(const Commands& commands) {
  std::string text;
  for (const CommandWords& command : commands) {
    if (command.path.empty()) continue;
    const bool of_program = command.path.find(' ') == std::string::npos;
    text += fmt::format("      case '{}{}'\n        set command '{}'\n", of_program ? " " : "",
                        command.path, command.path);
  }
  return text;
}

std::string fish_command(const CommandWords& command, const Commands& commands) {
  const std::string line = fmt::format("complete -c moesim -n '__moesim_at \"{}\"'", command.path);
  std::string text;
  for (const std::string& name : command.subcommands) {
    const std::string path = command.path + (command.path.empty() ? "" : " ") + name;
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&](const CommandWords& one) { return one.path == path; });
    text += fmt::format("{} -f -a {} -d {}\n", line, name, quoted(found->description));
  }
  if (!command.positions.empty() && command.positions.front().kind == ArgumentKind::name)
    text += fmt::format("{} -a {}\n", line, quoted(joined(command.positions.front().values)));
  for (const ArgumentWords& option : command.options) text += fish_option(command, option);
  return text;
}

std::string fish_script(const Commands& commands) {
  std::string text = fmt::format(
      R"(# fish completion of moesim {}: made by `moesim completion fish`.
function __moesim_at
  set -l command
  for word in (commandline -opc)[2..-1]
    switch "$command $word"
{}    end
  end
  test "$command" = "$argv[1]"
end
)",
      MOESIM_VERSION, fish_commands(commands));
  for (const CommandWords& command : commands) text += fish_command(command, commands);
  return text;
}

void add_completion(CLI::App& command) {
  const auto shell = std::make_shared<std::string>();
  command.add_option("shell", *shell, "the shell that reads the script")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command.footer("Example: source <(moesim completion bash)");
  command.callback([&command, shell] {
    const Commands commands = command_words(*command.get_parent());
    fmt::print("{}", *shell == "bash"  ? bash_script(commands)
                     : *shell == "zsh" ? zsh_script(commands)
                                       : fish_script(commands));
  });
}

const Registered<Command> registered{
    "completion", "Print a script that completes moesim's command lines", {add_completion}};

}  // namespace
}  // namespace moesim
