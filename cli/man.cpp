// moesim man: the help of all subcommands as one manual page (man(7)).
#include <fmt/format.h>

#include "cli/command_words.h"
#include "cli/commands.h"

namespace moesim {
namespace {

// Text as roff takes it: no escapes of its own, a hyphen that can be copied, no line that is a
// request.
std::string roff(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    const bool at_start = out.empty() || out.back() == '\n';
    if (at_start && (letter == '.' || letter == '\'')) out += "\\&";
    if (letter == '\\')
      out += "\\e";
    else if (letter == '-')
      out += "\\-";
    else
      out += letter;
  }
  return out;
}

std::string upper(std::string text) {
  for (char& letter : text)
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  return text;
}

std::string placeholder(const ArgumentWords& words) {
  switch (words.kind) {
    case ArgumentKind::none:
      return "";
    case ArgumentKind::number:
      return " \\fIN\\fR";
    case ArgumentKind::file:
    case ArgumentKind::name:
      return " \\fITEXT\\fR";
  }
  return "";
}

std::string synopsis(const CommandWords& command) {
  std::string text = ".B moesim" + (command.path.empty() ? "" : " " + roff(command.path)) + "\n";
  if (!command.subcommands.empty()) return text + ".I COMMAND\n";
  if (!command.options.empty()) text += "[\\fIOPTIONS\\fR]\n";
  for (const ArgumentWords& position : command.positions)
    text += fmt::format("{}\\fI{}\\fR{}{}\n", position.required ? "" : "[",
                        roff(upper(position.names.front())), position.repeats ? " ..." : "",
                        position.required ? "" : "]");
  return text;
}

std::string described(const ArgumentWords& words) {
  std::string names;
  for (const std::string& name : words.names)
    names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", roff(name));
  return fmt::format(".TP\n{}{}\n{}\n", names, placeholder(words), roff(words.description));
}

std::string footer_text(const std::string& footer) {
  return footer.empty() ? "" : ".PP\n.nf\n" + roff(footer) + "\n.fi\n";
}

std::string section(const CommandWords& command) {
  std::string text =
      fmt::format(".SS \"moesim {}\"\n{}\n", roff(command.path), roff(command.description)) +
      ".PP\n" + synopsis(command);
  for (const ArgumentWords& position : command.positions) text += described(position);
  for (const ArgumentWords& option : command.options) text += described(option);
  return text + footer_text(command.footer);
}

std::string manual(const std::vector<CommandWords>& commands) {
  const CommandWords& program = commands.front();
  std::string text =
      fmt::format(".TH MOESIM 1 \"\" \"moesim {}\" \"User Commands\"\n", roff(MOESIM_VERSION));
  text += ".SH NAME\nmoesim \\- simulate clusters that run Mixture\\-of\\-Experts models\n";
  text += ".SH SYNOPSIS\n" + synopsis(program);
  text += ".SH DESCRIPTION\n" + roff(program.description) + "\n";
  for (const ArgumentWords& option : program.options) text += described(option);
  text += footer_text(program.footer) + ".SH COMMANDS\n";
  for (std::size_t i = 1; i < commands.size(); ++i) text += section(commands[i]);
  return text;
}

void add_man(CLI::App& command) {
  command.footer("Example: moesim man > moesim.1 && man ./moesim.1");
  command.callback([&command] { fmt::print("{}", manual(command_words(*command.get_parent()))); });
}

const Registered<Command> registered{"man", "Print the manual page", {add_man}};

}  // namespace
}  // namespace moesim
