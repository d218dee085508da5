// moesim trace slice, merge, diff and agentic as a user runs them: exit codes and what they print.
#include <doctest/doctest.h>

#include "sim/trace/routing_trace.h"
#include "tests/cli/program.h"
#include "tests/sim/trace/hand_made_trace.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::Outcome;
using moesim::test::run_program;
using moesim::test::TemporaryFolder;

namespace {

void check_says(const Outcome& outcome, int code, const std::string& part) {
  INFO(outcome.output);
  CHECK(outcome.code == code);
  CHECK(outcome.output.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("slices of a trace, merged again, differ from it only in steps and request numbers") {
  const TemporaryFolder folder;
  const std::string trace = folder / "t.safetensors", code = folder / "code.safetensors",
                    prose = folder / "prose.safetensors", both = folder / "both.safetensors";
  write_trace(trace, make_trace(hand_made_columns()));
  check_says(run_program("trace diff " + trace + " " + trace), 0, "identical");
  check_says(run_program("trace slice " + trace + " --domains code --out " + code), 0,
             "4 of 6 tokens");
  check_says(run_program("trace slice " + trace + " --domains prose --out " + prose), 0,
             "2 of 6 tokens");
  check_says(run_program("trace merge " + code + " " + prose + " --out " + both), 0, "6 tokens");
  const Outcome differs = run_program("trace diff --json " + trace + " " + both);
  check_says(differs, 1, "\"identical\": false");
  CHECK(differs.output.find("\"experts\"") == std::string::npos);
  CHECK(differs.output.find("\"column\": \"request\"") != std::string::npos);
}

TEST_CASE("wrong input to the trace tools exits with 2 and writes nothing") {
  const TemporaryFolder folder;
  const std::string trace = folder / "t.safetensors", out = folder / "u.safetensors";
  write_trace(trace, make_trace(hand_made_columns()));
  check_says(run_program("trace slice " + trace + " --steps 9: --out " + out), 2,
             "--steps 9: leaves 0");
  check_says(run_program("trace slice " + trace + " --tokens 3:1 --out " + out), 2, "--tokens");
  check_says(run_program("trace merge " + trace + " --out " + out), 2, "at least two");
  check_says(run_program("trace diff " + trace + " " + out), 2, "u.safetensors");
  check_says(run_program("trace agentic " + test::source_dir() +
                         "/workloads/agentic/coding_agent.json --from " + trace + " --out " + out),
             2, "--domain logic=NAME");
  CHECK(folder.entries() == 1);
}

TEST_CASE("an agentic workload is expanded from a trace's domains") {
  const TemporaryFolder folder;
  const std::string trace = folder / "t.safetensors", out = folder / "u.safetensors";
  write_trace(trace, make_trace(hand_made_columns()));
  check_says(run_program("trace agentic " + test::source_dir() +
                         "/workloads/agentic/coding_agent.json --from " + trace + " --out " + out +
                         " --domain logic=prose --domain knowledge=prose"),
             0, "from the prefix cache");
  CHECK(open_trace(out, true).header.origin == "synthetic");
}
