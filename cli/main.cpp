// Chooses the subcommand and turns what it throws into an exit code: 0 done, 1 a check failed, 2
// the input is wrong, 3 the machine lacks something.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "sim/core/error.h"
#include "sim/io/plugins.h"
#include "sim/study/study.h"

namespace moesim {
namespace {

int fail(ExitCode code, const char* message) {
  fmt::print(stderr, "moesim: {}\n", message);
  return static_cast<int>(code);
}

bool is_option(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

// What may stand where `word` stands: the command's options, else its subcommands.
std::vector<std::string> valid_words(const CLI::App& command, const std::string& word) {
  std::vector<std::string> names;
  if (!is_option(word)) {
    for (const CLI::App* subcommand : command.get_subcommands({}))
      names.push_back(subcommand->get_name());
    return names;
  }
  for (const CLI::Option* option : command.get_options()) {
    if (option->nonpositional()) names.push_back("--" + option->get_lnames().front());
  }
  return names;
}

// CLI11 complains of what is missing before it looks at what it did not understand, though a
// misspelt word is mostly the reason why something is missing.
std::string usage_failure(const CLI::App* app, const CLI::Error& error) {
  const bool missing = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) ||
                       error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
  const CLI::App* command = app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  std::vector<std::string> unknown = command->remaining();
  std::stable_partition(unknown.begin(), unknown.end(), is_option);
  if (!missing || unknown.empty()) return CLI::FailureMessage::simple(app, error);
  const std::vector<std::string> valid = valid_words(*command, unknown.front());
  return "moesim: " + unknown.front() + " was not expected" +
         (valid.empty() ? "" : name_help(unknown.front(), valid)) +
         "\nRun with --help for more information.\n";
}

int run_program(int argc, char** argv) {
  CLI::App app("moesim: simulates clusters that run Mixture-of-Experts models");
  app.require_subcommand(1);
  app.set_version_flag("--version", MOESIM_VERSION);
  app.footer(
      "Example: moesim run scenarios/first_run.json\n"
      "Exit codes: 0 done, 1 the run failed a check, 2 the input is wrong, 3 the machine lacks "
      "something.");
  app.failure_message(usage_failure);
  try {
    load_plugins();
    add_commands<Command>(app);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::wrong_input);
  } catch (const WorkerFailed& error) {
    return fail(error.exit_code, error.what());
  } catch (const InputError& error) {
    return fail(ExitCode::wrong_input, error.what());
  } catch (const CheckError& error) {
    return fail(ExitCode::check_failed, error.what());
  } catch (const MachineError& error) {
    return fail(ExitCode::machine_lacks, error.what());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::machine_lacks, "out of memory on this machine");
  } catch (const std::exception& error) {
    return fail(ExitCode::check_failed, error.what());
  }
  return 0;
}

}  // namespace
}  // namespace moesim

// NOLINTNEXTLINE(bugprone-exception-escape): only making the empty CLI::App stands outside the try
int main(int argc, char** argv) {
  // A file-size limit is then reported as a full disk is, not by dying.
  std::signal(SIGXFSZ, SIG_IGN);
  // Large blocks go back to the system when they are freed: glibc else learns to keep ever larger
  // ones, and what counted tokens would stand beside the results.
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  // Small ones stay: each exchange of a step takes and frees the same again.
  ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
  return moesim::run_program(argc, argv);
}
