// Completion scripts and the manual page, as shells and readers of manuals take them.
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "tests/cli/program.h"

using namespace moesim;
using test::Outcome;
using test::run_command;
using test::run_program;
using test::TemporaryFolder;

namespace {

bool has(const std::string& program) {
  return run_command("command -v " + program + " >/dev/null 2>&1").code == 0;
}

// What bash offers for a line whose last word is being typed.
std::string completed(const std::string& script, const std::string& words) {
  std::istringstream split(words);
  int count = -1;
  for (std::string word; split >> word;) ++count;
  const std::string last = words.ends_with(" ") ? " ''" : "";
  return run_command("bash -c 'source " + script + "; COMP_WORDS=(" + words +
                     (last.empty() ? "" : "\"\"") +
                     "); COMP_CWORD=" + std::to_string(last.empty() ? count : count + 1) +
                     "; _moesim; printf \"%s \" \"${COMPREPLY[@]}\"' 2>&1")
      .output;
}

}  // namespace

TEST_CASE("The bash script is valid and completes subcommands, options and names") {
  const TemporaryFolder folder;
  const std::string script = folder / "moesim.bash";
  write_file(script, run_program("completion bash").output);
  CHECK(run_command("bash -n " + script + " 2>&1").output == "");
  CHECK(completed(script, "moesim ru") == "run ");
  CHECK(completed(script, "moesim trace for") == "forward ");
  CHECK(completed(script, "moesim run s.json --time") == "--timeline ");
  CHECK(completed(script, "moesim compare --strategies contig") == "contiguous ");
  CHECK(completed(script, "moesim list place") == "placements ");
  CHECK(completed(script, "moesim memory --model deepseek-v3.") == "deepseek-v3.2 ");
  CHECK(completed(script, "moesim completion z") == "zsh ");
  CHECK(completed(script, "moesim run " + (folder / "moesim.b")) == script + " ");
  CHECK(completed(script, "moesim run --jobs ") == " ");
}

TEST_CASE("Scripts of zsh and fish name every subcommand, and their shells take them") {
  const TemporaryFolder folder;
  for (const std::string& shell : {std::string("zsh"), std::string("fish")}) {
    const std::string script = run_program("completion " + shell).output;
    for (const char* word : {"compare", "trace forward", "strategies", "contiguous"}) {
      CAPTURE(word);
      CHECK(script.find(word) != std::string::npos);
    }
    if (!has(shell)) continue;
    write_file(folder / shell, script);
    CHECK(run_command(shell + " -n " + (folder / shell) + " 2>&1").output == "");
  }
}

TEST_CASE("The manual has a section for every subcommand and is clean roff") {
  const TemporaryFolder folder;
  const std::string manual = run_program("man").output;
  write_file(folder / "moesim.1", manual);
  for (const char* word : {".TH MOESIM 1", ".SS \"moesim trace forward\"", "\\-\\-strategies",
                           "Example: moesim run", "Exit codes: 0 done"})
    CHECK(manual.find(word) != std::string::npos);
  if (has("groff"))
    CHECK(run_command("groff -man -Tutf8 -ww -z " + (folder / "moesim.1") + " 2>&1").output == "");
  if (has("mandoc"))
    CHECK(run_command("mandoc -Tlint -W error " + (folder / "moesim.1") + " 2>&1").output == "");
}

TEST_CASE("The help of every subcommand has an example") {
  const std::string manual = run_program("man").output;
  std::istringstream lines(manual);
  std::string section, line;
  bool example = true;
  const auto check = [&] {
    CAPTURE(section);
    CHECK(example);
  };
  while (std::getline(lines, line)) {
    if (line.starts_with(".SS ")) {
      check();
      section = line;
      example = false;
    }
    example = example || line.find("Example") != std::string::npos;
  }
  check();
}
