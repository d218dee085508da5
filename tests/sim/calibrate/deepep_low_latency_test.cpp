// DeepEP's low-latency test: the numbers of tests/calibrate/logs/low_latency.txt are formulas of
// the rank, so the figures follow by hand.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/sim/calibrate/log_text.h"

namespace moesim {
namespace {

using namespace moesim::test;

// A line as the benchmark prints it for `tokens` tokens of top-k 8 and hidden 7168.
std::string both(int rank, int tokens, double dispatch_us, double combine_us) {
  const double routes = tokens * 8.0;
  return fmt::format(
      "[rank {}] Dispatch bandwidth: {:.2f} GB/s, avg_t={:.2f} us | Combine "
      "bandwidth: {:.2f} GB/s, avg_t={:.2f} us\n",
      rank, routes * (7168 + 224 + 16) / dispatch_us / 1e3, dispatch_us,
      routes * 14336 / combine_us / 1e3, combine_us);
}

TEST_CASE("dispatch and combine are the mean over ranks, which are kept in their order") {
  const BenchmarkLog log = read_log(log_path("low_latency.txt"), on_h100());
  CHECK(log.benchmark == "DeepEP test_low_latency");
  REQUIRE(log.figures.size() == 2);
  const LoggedFigure& dispatch = log.figures[0];
  CHECK(dispatch.kind == "exchange");
  CHECK(dispatch.algorithm == "deepep_low_latency");
  CHECK(dispatch.mode == "low_latency");
  CHECK(dispatch.operation == "dispatch");
  CHECK(dispatch.quantity == "time");
  CHECK(dispatch.reported_link.empty());
  CHECK(dispatch.dispatch_dtype == "fp8");
  CHECK(dispatch.by_rank == std::vector<double>{200, 208, 216, 224});
  CHECK(dispatch.value == 212);
  CHECK(dispatch.where.line == 7);
  CHECK(dispatch.conditions.accelerator == "H100");
  CHECK(dispatch.conditions.ranks == 4);
  CHECK(dispatch.conditions.tokens_per_rank == 128);
  CHECK(dispatch.conditions.hidden == 7168);
  CHECK(dispatch.conditions.top_k == 8);
  CHECK(dispatch.conditions.experts == 288);
  const LoggedFigure& combine = log.figures[1];
  CHECK(combine.operation == "combine");
  CHECK(combine.combine_dtype == "bf16");
  CHECK(combine.by_rank == std::vector<double>{300, 304, 308, 312});
  CHECK(combine.value == 306);
  CHECK(notes_hold(log, "288 experts (--experts)"));
  CHECK(notes_hold(log, "4 lines of send/recv time"));
}

TEST_CASE("a log with round trips alone gives them") {
  std::string text;
  for (const char* rank : {"0", "1"})
    text += std::string("[rank ") + rank +
            "] Dispatch + combine bandwidth: 44.53 GB/s, avg_t=500.00 us, min_t=1 us, max_t=2 us\n";
  // 128 x 8 x (7408 + 14336) bytes in 500 us are 44.53 GB/s.
  const BenchmarkLog log = read_text(text);
  REQUIRE(log.figures.size() == 1);
  CHECK(log.figures[0].operation == "round_trip");
  CHECK(log.figures[0].value == 500);
  CHECK(log.figures[0].dispatch_dtype == "fp8");
  CHECK(log.figures[0].combine_dtype == "bf16");
}

TEST_CASE("colours, carriage returns and two processes in a line change nothing") {
  const std::string plain = both(0, 128, 100, 200) + both(1, 128, 120, 220);
  std::string mixed = replaced(plain, "\n", "");
  mixed = replaced(mixed, "[rank 0]", "12:00:00 worker-0: \x1b[32m[rank 0]\x1b[0m") + "\r\n";
  const BenchmarkLog log = read_text(mixed);
  REQUIRE(log.figures.size() == 2);
  CHECK(log.figures[0].by_rank == std::vector<double>{100, 120});
  CHECK(log.figures[1].by_rank == std::vector<double>{200, 220});
}

TEST_CASE("bytes that are not those of the conditions are refused with the options to give") {
  const std::string other = both(0, 64, 100, 200);
  const std::string said = refusal(other);
  CHECK(holds(said, "x.log:1: "));
  CHECK(holds(said, "3.79 MB"));  // 64 x 8 x 7408
  CHECK(holds(said, "7.59 MB"));
  CHECK(holds(said, "--tokens-per-rank, --top-k and --hidden"));
  LogConditions given = on_h100();
  given.tokens_per_rank = 64;
  CHECK(read_text(other, given).figures.size() == 2);
  // 10 % and no more, whichever way.
  given.tokens_per_rank = 2000;
  CHECK(read_text(both(0, 2150, 100, 200), given).figures.size() == 2);
  CHECK(read_text(both(0, 1850, 100, 200), given).figures.size() == 2);
  CHECK_FALSE(refusal(both(0, 2250, 100, 200), given).empty());
  CHECK_FALSE(refusal(both(0, 1750, 100, 200), given).empty());
}

TEST_CASE("rows tell bf16 dispatch and LogFMT combine apart") {
  const BenchmarkLog bf16 = read_text(
      "[rank 0] Dispatch bandwidth: 146.80 GB/s, avg_t=100.00 us | Combine bandwidth: 73.40 GB/s, "
      "avg_t=200.00 us\n");  // 1024 x 14336 bytes both
  REQUIRE(bf16.figures.size() == 2);
  CHECK(bf16.figures[0].dispatch_dtype == "bf16");
  const BenchmarkLog logfmt = read_text(
      "[rank 0] Dispatch bandwidth: 75.86 GB/s, avg_t=100.00 us | Combine bandwidth: 47.02 GB/s, "
      "avg_t=200.00 us\n");  // 1024 x 7408, and 1024 x (7168 x 10 / 8 + 224) bytes
  REQUIRE(logfmt.figures.size() == 1);
  CHECK(logfmt.figures[0].operation == "dispatch");
  CHECK(notes_hold(logfmt, "LogFMT"));
}

TEST_CASE("missing and contradicted conditions are refused by option") {
  const std::string text = both(0, 128, 100, 200) + both(1, 128, 100, 200);
  CHECK(holds(refusal(text, LogConditions{}), "--accelerator"));
  LogConditions given = on_h100();
  given.ranks = 1;
  CHECK(holds(refusal(text, given), "x.log:2: the log says 2, but --ranks gives 1"));
  given.ranks = 8;
  const BenchmarkLog part = read_text(text, given);
  CHECK(part.figures[0].conditions.ranks == 8);
  CHECK(notes_hold(part, "2 of the 8 ranks"));
  given.ranks = 128;  // 288 does not divide by 128, 256 does
  CHECK(read_text(text, given).figures[0].conditions.experts == 256);
  given.ranks = 80;
  CHECK(holds(refusal(text, given), "--experts"));
  given.experts = 160;
  CHECK(read_text(text, given).figures[0].conditions.experts == 160);
}

TEST_CASE("lines that are cut off or hold no numbers are refused with their line") {
  const std::string good = both(0, 128, 100, 200);
  for (const char* bad :
       {"[rank 1] Dispa", "[rank 1] Dispatch bandwidth: 75", "[rank x] Dispatch bandwidth: 1 GB/s",
        "[rank 1] Dispatch bandwidth: nan GB/s, avg_t=1 us",
        "[rank 1] Dispatch bandwidth: 75.86 GB/s, avg_t=100.00 us",
        "[rank 1] Dispatch bandwidth: 75.86 GB/s, avg_t=0.00 us | Combine bandwidth: 1 GB/s, "
        "avg_t=1 us",
        "[rank 1] Dispatch bandwidth: 75.86 GB/s, avg_t=100.00 us | Combine bandwidth: 73.40 GB/s, "
        "avg_t=2"}) {
    CAPTURE(bad);
    CHECK(holds(refusal(good + bad), "x.log:2: "));
  }
  CHECK(read_text(good + "[rank 1] is done\n[rank 1]\nTraceback\n").figures.size() == 2);
}

TEST_CASE("a rank that prints twice counts once, with its mean") {
  const BenchmarkLog log =
      read_text(both(0, 128, 100, 200) + both(1, 128, 130, 230) + both(0, 128, 110, 210));
  CHECK(log.figures[0].by_rank == std::vector<double>{105, 130});
  CHECK(log.figures[0].value == 117.5);
  CHECK(notes_hold(log, "printed it again"));
}

}  // namespace
}  // namespace moesim
