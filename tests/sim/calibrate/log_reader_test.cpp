// Which reader a log gets.
#include "sim/calibrate/log_reader.h"

#include <doctest/doctest.h>

#include "tests/sim/calibrate/log_text.h"

namespace moesim {
namespace {

using namespace moesim::test;

const std::vector<std::string>& logs() {
  static const std::vector<std::string> names{"alltoall.txt",    "all_reduce_old.txt",
                                              "internode.txt",   "intranode.txt",
                                              "low_latency.txt", "v2.txt"};
  return names;
}

LogConditions enough() {
  LogConditions given = on_h100();
  given.ranks = 16;
  given.scale_out = "ib";
  return given;
}

TEST_CASE("every log has exactly one reader") {
  for (const std::string& name : logs()) {
    CAPTURE(name);
    int readers = 0;
    for (const auto& [key, entry] : Catalog<LogReader>::instance().entries())
      readers += entry.part.recognises(log_text(name)) ? 1 : 0;
    CHECK(readers == 1);
  }
}

TEST_CASE("a text of no benchmark is refused, naming those that are read") {
  for (const char* text : {"", "hello\n", "bandwidth: 5 GB/s\n", "\0\xff\x1b["}) {
    const std::string said = refusal(text);
    CHECK(holds(said, "no benchmark's output"));
    for (const std::string& name : Catalog<LogReader>::instance().names()) CHECK(holds(said, name));
  }
  CHECK_THROWS_AS(read_log("/nowhere/x.log", on_h100()), InputError);
}

TEST_CASE("a log of two benchmarks is refused, naming both") {
  const std::string said = refusal(log_text("low_latency.txt") + log_text("alltoall.txt"));
  CHECK(holds(said, "deepep_low_latency"));
  CHECK(holds(said, "nccl_tests"));
}

TEST_CASE("a log cut off anywhere reads or is refused with InputError") {
  for (const std::string& name : logs()) {
    CAPTURE(name);
    const std::string text = log_text(name);
    LogConditions given = enough();
    if (name != "internode.txt") given.ranks = 0;
    int read = 0, refused = 0;
    for (std::size_t length = 0; length < text.size(); length += 7) {
      CAPTURE(length);
      const std::string cut = text.substr(0, length);
      for (const auto& [key, entry] : Catalog<LogReader>::instance().entries()) {
        if (!entry.part.recognises(cut)) continue;
        try {
          for (const LoggedFigure& figure : entry.part.read("x.log", cut, given).figures) {
            REQUIRE(figure.value > 0);
            REQUIRE(figure.where.line > 0);
          }
          ++read;
        } catch (const InputError&) {
          ++refused;
        }
      }
    }
    CHECK(read > 0);
    CHECK(refused > 0);
  }
}

}  // namespace
}  // namespace moesim
