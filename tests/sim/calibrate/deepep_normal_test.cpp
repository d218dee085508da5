// DeepEP's tests of normal mode, within a node and over several.
#include <doctest/doctest.h>

#include "tests/sim/calibrate/log_text.h"

namespace moesim {
namespace {

using namespace moesim::test;

LogConditions two_nodes() {
  LogConditions given = on_h100();
  given.ranks = 16;
  given.scale_out = "ib";
  return given;
}

// The log without the lines that hold `words`.
std::string without(const std::string& text, const std::string& words) {
  std::string kept;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1);
    const std::string line = text.substr(begin, end + 1 - begin);
    if (!holds(line, words)) kept += line;
    begin = end + 1;
  }
  return kept;
}

TEST_CASE("the best lines of a node become bandwidths over NVLink") {
  const BenchmarkLog log = read_log(log_path("intranode.txt"), on_h100());
  CHECK(log.benchmark == "DeepEP test_intranode");
  REQUIRE(log.figures.size() == 3);
  for (const LoggedFigure& figure : log.figures) {
    CHECK(figure.kind == "exchange");
    CHECK(figure.algorithm == "deepep_normal");
    CHECK(figure.mode == "high_throughput");
    CHECK(figure.quantity == "logical_bandwidth");
    CHECK(figure.reported_link == "scale_up");
    CHECK(figure.by_rank == std::vector<double>{figure.value});
    CHECK(figure.conditions.ranks == 8);
    CHECK(figure.conditions.tokens_per_rank == 2048);
    CHECK(figure.conditions.hidden == 4096);
    CHECK(figure.conditions.top_k == 6);
    CHECK(figure.conditions.experts == 256);
    CHECK(figure.conditions.groups_limit == 0);
    CHECK(figure.conditions.sms == 20);
  }
  CHECK(log.figures[0].operation == "dispatch");
  CHECK(log.figures[0].dispatch_dtype == "fp8");
  CHECK(log.figures[0].value == 130);
  CHECK(log.figures[0].where.line == 11);
  CHECK(log.figures[1].dispatch_dtype == "bf16");
  CHECK(log.figures[1].value == 141);
  CHECK(log.figures[2].operation == "combine");
  CHECK(log.figures[2].combine_dtype == "bf16");
  CHECK(log.figures[2].value == 112);
  CHECK(notes_hold(log, "8 ranks (--ranks)"));
  CHECK(notes_hold(log, "layout kernel takes 50.0 us"));
}

TEST_CASE("without best lines the fastest of each sweep stands in, defaults aside") {
  const std::string text = without(log_text("intranode.txt"), "Best");
  const BenchmarkLog log = read_text(text);
  REQUIRE(log.figures.size() == 3);
  CHECK(log.figures[0].value == 130);  // not the 140 of the default chunk
  CHECK(log.figures[0].dispatch_dtype == "fp8");
  CHECK(log.figures[1].value == 141);
  CHECK(log.figures[1].dispatch_dtype == "bf16");
  CHECK(log.figures[2].value == 112);
  CHECK(log.figures[2].operation == "combine");
  CHECK(notes_hold(log, "no \"Best\" lines"));
  // Two runs that nothing tells apart: more sweeps than the benchmark makes (the second begins
  // where the first combine ends, at a larger chunk).
  CHECK(holds(refusal(text + text), "5 sweeps over chunks"));
}

TEST_CASE("newer lines give times") {
  const std::string config = "[config] num_tokens=4096, hidden=7168, num_topk=8\n";
  for (const char* line :
       {"[tuning] Best dispatch (FP8): SMs 24, NVL chunk 8, 153.00 GB/s (NVL), t: 250.50 us",
        "[tuning] Best dispatch (FP8): SMs 24, NVL chunk 8: 153.00 GB/s (NVL), avg_t: 250.50 us",
        "[tuning] Best dispatch (FP8): SMs 24, NVL chunk 8: 153.00 GB/s (NVL), 250.50 us"}) {
    CAPTURE(line);
    const BenchmarkLog log = read_text(config + line);
    REQUIRE(log.figures.size() == 1);
    CHECK(log.figures[0].quantity == "time");
    CHECK(log.figures[0].reported_link.empty());
    CHECK(log.figures[0].value == 250.5);
  }
}

TEST_CASE("of several nodes every printing process is kept, in the order of the launcher") {
  const BenchmarkLog log = read_log(log_path("internode.txt"), two_nodes());
  CHECK(log.benchmark == "DeepEP test_internode");
  REQUIRE(log.figures.size() == 3);
  CHECK(log.figures[0].dispatch_dtype == "fp8");
  CHECK(log.figures[0].quantity == "time");
  CHECK(log.figures[0].by_rank == std::vector<double>{1000, 1100});  // worker-1 printed first
  CHECK(log.figures[0].value == 1050);
  CHECK(log.figures[1].by_rank == std::vector<double>{2000, 2200});
  CHECK(log.figures[2].operation == "combine");
  CHECK(log.figures[2].by_rank == std::vector<double>{3000, 3300});
  CHECK(log.figures[0].conditions.groups_limit == 2);
  CHECK(log.figures[0].conditions.sms == 16);
  CHECK(log.figures[0].conditions.ranks == 16);
  CHECK(notes_hold(log, "dispatch (fp8): notify takes 310.0 us"));
  CHECK(notes_hold(log, "combine: notify takes 200.0 us"));
  CHECK(notes_hold(log, "layout kernel takes 25.0 us"));
}

TEST_CASE("older lines over several nodes give RDMA's bandwidth, others notify + transmit") {
  const std::string config =
      "[config] num_tokens=4096, hidden=7168, num_topk_groups=2, num_topk=8\n";
  const BenchmarkLog old = read_text(
      config +
          "[tuning] Best combine: SMs 24, NVL chunk 1, RDMA chunk 20: 44.50 GB/s (RDMA), 147.00 "
          "GB/s (NVL)\n",
      two_nodes());
  REQUIRE(old.figures.size() == 1);
  CHECK(old.figures[0].quantity == "logical_bandwidth");
  CHECK(old.figures[0].reported_link == "scale_out");
  CHECK(old.figures[0].value == 44.5);
  const BenchmarkLog sum = read_text(
      config +
          "[tuning] Best dispatch (BF16): SMs 24, NVL chunk 20, RDMA chunk 28: 912 + 2357 us, "
          "44.50 GB/s (RDMA), 147.00 GB/s (NVL)\n",
      two_nodes());
  CHECK(sum.figures[0].value == 2357);
  CHECK(notes_hold(sum, "notify takes 912.0 us"));
}

TEST_CASE("shapes and SM counts make figures of their own") {
  const std::string first = log_text("intranode.txt");
  const BenchmarkLog shapes =
      read_text(first + replaced(first, "num_tokens=2048", "num_tokens=64"));
  REQUIRE(shapes.figures.size() == 6);
  CHECK(shapes.figures[0].conditions.tokens_per_rank == 2048);
  CHECK(shapes.figures[3].conditions.tokens_per_rank == 64);
  const BenchmarkLog sms =
      read_text(first + replaced(replaced(first, "SMs 20", "SMs 24"), "130.00", "150.00"));
  REQUIRE(sms.figures.size() == 6);
  CHECK(sms.figures[0].conditions.sms == 20);
  CHECK(sms.figures[0].value == 130);
  CHECK(sms.figures[1].conditions.sms == 24);
  CHECK(sms.figures[1].value == 150);
}

TEST_CASE("missing and contradicted conditions of normal mode are refused by option") {
  const std::string one = log_text("intranode.txt"), several = log_text("internode.txt");
  CHECK(holds(refusal(one, LogConditions{}), "--accelerator"));
  CHECK(holds(refusal(several), "--ranks"));
  LogConditions given = two_nodes();
  given.scale_out = "none";
  CHECK(holds(refusal(several, given), "--scale-out"));
  CHECK(holds(refusal(without(one, "[config]")), "--tokens-per-rank"));
  given = on_h100();
  given.hidden = 7168;
  CHECK(holds(refusal(one, given), "x.log:1: the log says 4096, but --hidden gives 7168"));
  given = on_h100();
  given.sms = 24;
  CHECK(holds(refusal(one, given), "x.log:11: the log says 20, but --sms gives 24"));
}

TEST_CASE("tuning and config lines that do not read are refused with their line") {
  const std::string config = "[config] num_tokens=4096, hidden=7168, num_topk=8\n";
  for (const char* bad :
       {"[tuning] Best dispatch (FP4): SMs 24, NVL chunk 8, 153.00 GB/s (NVL)",
        "[tuning] Best dispatch (FP8): SMs 24, NVL chunk 8", "[tuning] SMs 24, NVL chunk 8: 153.0",
        "[tuning] SMs 24, NVL chunk 8: 153.00 GB/s (PCIe)", "[tuning] SMs 24, NVL chunk 8: 0 us",
        "[tuning] SMs 24, NVL chunk 8: 153.00 GB/s (NVL), t: x us", "[tuning] SMs many", "[tuning]",
        "[layout] Kernel performance: - ms", "[config] num_tokens=4096, hidden=x, num_topk=8",
        "[config] num_tokens=0, hidden=8, "
        "num_topk=8",
        "[config] num_tokens=4096"}) {
    CAPTURE(bad);
    CHECK(holds(refusal(config + bad), "x.log:2: "));
  }
  CHECK(holds(refusal(config), "did the test stop early?"));
}

TEST_CASE("low-latency lines of the compatibility test are left out") {
  const BenchmarkLog log = read_text(
      log_text("intranode.txt") +
      "[rank 0] Dispatch + combine bandwidth: 1.00 GB/s, avg_t=1.00 us, min_t=1 us, max_t=1 us\n");
  CHECK(log.figures.size() == 3);
  CHECK(notes_hold(log, "compatibility"));
}

}  // namespace
}  // namespace moesim
