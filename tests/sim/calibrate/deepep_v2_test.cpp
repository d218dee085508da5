// DeepEP V2: the times of tests/calibrate/logs/v2.txt are formulas of mode and rank.
#include <doctest/doctest.h>

#include "tests/sim/calibrate/log_text.h"

namespace moesim {
namespace {

using namespace moesim::test;

TEST_CASE("dispatch by type and combine over both, with the conditions of the block") {
  const BenchmarkLog log = read_log(log_path("v2.txt"), on_h100());
  CHECK(log.benchmark == "DeepEP V2 test_ep");
  REQUIRE(log.figures.size() == 3);
  for (const LoggedFigure& figure : log.figures) {
    CHECK(figure.algorithm == "deepep_v2");
    CHECK(figure.mode == "high_throughput");
    CHECK(figure.quantity == "time");
    CHECK(figure.conditions.ranks == 4);
    CHECK(figure.conditions.tokens_per_rank == 512);
    CHECK(figure.conditions.hidden == 2048);
    CHECK(figure.conditions.top_k == 4);
    CHECK(figure.conditions.experts == 64);
    CHECK(figure.conditions.sms == 12);
  }
  // In the order of names: combine, then dispatch by type.
  CHECK(log.figures[0].operation == "combine");
  CHECK(log.figures[0].combine_dtype == "bf16");
  CHECK(log.figures[0].by_rank == std::vector<double>{450, 452, 454, 456});  // of 400 and 500
  CHECK(log.figures[0].value == 453);
  CHECK(log.figures[1].operation == "dispatch");
  CHECK(log.figures[1].dispatch_dtype == "bf16");
  CHECK(log.figures[1].by_rank == std::vector<double>{200, 201, 202, 203});
  CHECK(log.figures[2].dispatch_dtype == "fp8");
  CHECK(log.figures[2].by_rank == std::vector<double>{100, 101, 102, 103});
  CHECK(notes_hold(log, "copies after it take 12.0 us"));
  CHECK(notes_hold(log, "left out expanded dispatch (fp8)"));
  CHECK(notes_hold(log, "left out reduced combine (bf16)"));
}

TEST_CASE("expanded dispatch stands in where plain dispatch was not run") {
  const std::string text = replaced(log_text("v2.txt"), "| dispatch:", "| expanded dispatch:");
  const BenchmarkLog log = read_text(text);
  REQUIRE(log.figures.size() == 3);
  CHECK(log.figures[2].by_rank == std::vector<double>{125, 126, 127, 128});  // of 100 and 150
}

TEST_CASE("V2 lines without their block ask for what it says") {
  const std::string text = log_text("v2.txt");
  const std::string bare = text.substr(text.find(" > Testing"));
  CHECK(holds(refusal(bare), "--tokens-per-rank"));
  LogConditions given = on_h100();
  given.tokens_per_rank = 512;
  given.hidden = 2048;
  given.top_k = 4;
  CHECK(holds(refusal(bare, given), "--experts"));
  given.experts = 64;
  CHECK(read_text(bare, given).figures.size() == 3);
  given.ranks = 8;
  CHECK(holds(refusal(bare, given), "the log says 4, but --ranks gives 8"));
  given.hidden = 7168;
  CHECK(holds(refusal(text, given), "--ranks"));
  CHECK(holds(refusal(text, LogConditions{}), "--accelerator"));
  CHECK(holds(refusal(text + replaced(text, "hidden: 2048", "hidden: 4096")),
              "the elements of a row are 4096 here and 2048 further up"));
}

TEST_CASE("V2 lines that do not read are refused with their line") {
  const std::string text = log_text("v2.txt");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"EP:   1/4 | dispatch", "EP:   4/4 | dispatch"},
           {"| dispatch:", "| despatch:"},
           {" 101.000 us,", " 0.000 us,"},
           {" 101.000 us,", " 101.000"},
           {"9000000 bytes", "lots of bytes"},
           {"12.000 us", "12"},
           {"> Ranks: 2 x 2", "> Ranks: 0 x 2"},
           {"> Experts: 4/64", "> Experts: 4"},
           {"use_fp8_dispatch", "use_it"}}) {
    const auto& shown = to;  // no lambda may capture a structured binding
    CAPTURE(shown);
    CHECK(holds(refusal(replaced(text, from, to)), "x.log:"));
  }
}

}  // namespace
}  // namespace moesim
