// Lines of logs as launchers leave them.
#include "sim/calibrate/log_lines.h"

#include <doctest/doctest.h>

namespace moesim {
namespace {

LogLine only_line(const std::string& text) {
  const std::vector<LogLine> lines = log_lines(text);
  REQUIRE(lines.size() == 1);
  return lines[0];
}

TEST_CASE("what a launcher, a terminal or a clock puts before a line is not part of it") {
  const std::string said = "[rank 3] Dispatch bandwidth: 5 GB/s";
  struct Prefix {
    const char* text;
    const char* source;
  };
  for (const Prefix& prefix :
       {Prefix{"", ""}, Prefix{"[1,3]<stdout>:", "[1,3]<stdout>"},
        Prefix{"[1,3]<stdout>: ", "[1,3]<stdout>"}, Prefix{"worker-0: ", "worker-0"},
        Prefix{" 3: ", "3"}, Prefix{"[default3]:", "[default3]"},
        Prefix{"[pod/run-0/main] ", "[pod/run-0/main]"}, Prefix{"gpu_1  | ", "gpu_1"},
        Prefix{"(Worker pid=77, ip=10.0.0.1) ", "(Worker pid=77, ip=10.0.0.1)"},
        Prefix{"2026-01-31T12:00:00.123Z ", ""}, Prefix{"2026-01-31 12:00:00 ", ""},
        Prefix{"[2026-01-31 12:00:00,123] ", ""}, Prefix{"12:00:00: ", ""},
        Prefix{"worker-1: 2026-01-31T12:00:00+01:00 [1,8]<stdout>: ", "worker-1[1,8]<stdout>"}}) {
    CAPTURE(prefix.text);
    const LogLine line = only_line(prefix.text + said);
    CHECK(line.text == said);
    CHECK(line.source == prefix.source);
  }
}

TEST_CASE("colours and carriage returns vanish, and lines keep their numbers") {
  const std::vector<LogLine> lines =
      log_lines("\x1b[1;32m[rank 0]\x1b[0m a\r\n\n\x1b[Kb: c\x1b[38;5;9m");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].text == "[rank 0] a");
  CHECK(lines[1].text.empty());
  CHECK(lines[2].text == "c");
  CHECK(lines[2].source == "b");
  CHECK(lines[2].number == 3);
}

TEST_CASE("what only looks like a prefix stays") {
  for (const char* text :
       {"host-1:4000:4000 [0] NCCL INFO x", "1048576  131072  half", "[tuning] SMs 24, x",
        "EP:   4/16 | dispatch: 1", "12:30", "[rank 0] a: b", "8 | 9", "\x1b"}) {
    CAPTURE(text);
    const LogLine line = only_line(text);
    if (std::string(text) == "8 | 9")
      CHECK(line.text == "9");  // docker compose could name a service "8"
    else
      CHECK(line.text == (text[0] == '\x1b' ? "" : text));
  }
}

TEST_CASE("a line of two processes has two parts") {
  const LogLine line = only_line("[rank 0] a [rank 1] b");
  const std::vector<LogLine> parts = parts_at(line, "[rank ");
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].text == "[rank 0] a ");
  CHECK(parts[1].text == "[rank 1] b");
  CHECK(parts_at(line, "[tuning]").empty());
}

TEST_CASE("a scanner reads numbers and says what stands in their place") {
  const std::string path = "x.log";
  const LogLine line{7, "", "t=1.5 us, n=12 -3 nan 1e999 2.5"};
  LineScanner scanner(path, line);
  CHECK(scanner.skip("t="));
  CHECK(scanner.number("t") == 1.5);
  CHECK_FALSE(scanner.skip("ms"));
  CHECK_THROWS_WITH(scanner.expect("ms"), "x.log:7: \"ms\" should stand where \"us,\" does");
  scanner.expect("us,");
  scanner.expect("n=");
  CHECK(scanner.count("n") == 12);
  CHECK_THROWS_WITH(scanner.count("n"),
                    "x.log:7: n should be a whole number of 0 or more, not \"-3\"");
  CHECK_THROWS_AS(scanner.number("n"), InputError);
  scanner.expect("-3");
  CHECK_THROWS_WITH(scanner.number("n"), "x.log:7: n should be a number of 0 or more, not \"nan\"");
  scanner.expect("nan");
  CHECK_THROWS_AS(scanner.number("n"), InputError);
  scanner.expect("1e999");
  CHECK_FALSE(scanner.at_end());
  CHECK(scanner.rest() == "2.5");
  CHECK(scanner.number("n") == 2.5);
  CHECK(scanner.at_end());
  CHECK_THROWS_AS(scanner.count("n"), InputError);
}

}  // namespace
}  // namespace moesim
