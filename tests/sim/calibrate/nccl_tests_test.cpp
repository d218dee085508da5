// nccl-tests: tables of several versions.
#include <doctest/doctest.h>

#include "tests/sim/calibrate/log_text.h"

namespace moesim {
namespace {

using namespace moesim::test;

TEST_CASE("every row out of place becomes a time") {
  const BenchmarkLog log = read_log(log_path("alltoall.txt"), LogConditions{});
  CHECK(log.benchmark == "nccl-tests");
  REQUIRE(log.figures.size() == 3);
  for (const LoggedFigure& figure : log.figures) {
    CHECK(figure.kind == "collective");
    CHECK(figure.algorithm == "nccl_alltoall");
    CHECK(figure.mode.empty());
    CHECK(figure.operation.empty());
    CHECK(figure.quantity == "time");
    CHECK(figure.dtype == "fp16");
    CHECK(figure.conditions.accelerator == "H100");
    CHECK(figure.conditions.ranks == 4);
    CHECK(figure.conditions.gpus_per_node == 2);  // two hosts of two ranks
  }
  CHECK(log.figures[0].message_bytes == 1048576);
  CHECK(log.figures[0].value == 40.25);
  CHECK(log.figures[1].value == 62.5);
  CHECK(log.figures[2].message_bytes == 4194304);
  CHECK(log.figures[2].value == 110);
  CHECK(log.figures[2].where.line == 19);
  CHECK(log.notes.empty());
}

TEST_CASE("a table without a name is of the collective its columns fit") {
  const std::string text = log_text("all_reduce_old.txt");
  const BenchmarkLog all_reduce = read_text(text);
  REQUIRE(all_reduce.figures.size() == 2);
  CHECK(all_reduce.figures[0].algorithm == "nccl_allreduce");
  CHECK(all_reduce.figures[0].value == 50);
  CHECK(all_reduce.figures[0].dtype.empty());
  CHECK(notes_hold(all_reduce, "found from the columns"));
  CHECK(notes_hold(all_reduce, "records name none for float"));
  // A rank's share of the elements: 262144 / 4 and 524288 / 4.
  const std::string scattered =
      replaced(replaced(text, " 262144 ", "  65536 "), " 524288 ", " 131072 ");
  CHECK(read_text(scattered).figures[0].algorithm == "nccl_reducescatter");
  const std::string open = replaced(scattered, " sum ", "none ");
  CHECK(holds(refusal(open), "does not say which test"));
  CHECK(read_text("$ mpirun -np 4 ./build/all_gather_perf -b 1M -e 2M -f 2\n" + open)
            .figures[0]
            .algorithm == "nccl_allgather");
  CHECK(holds(refusal("./build/sendrecv_perf -b 1M\n" + open), "no reader for sendrecv_perf"));
}

TEST_CASE("tables without root or redop, and with more columns, read by their names") {
  const std::string devices =
      "# nThread 1 nGpus 2 minBytes 8 maxBytes 8\n"
      "#   Rank  0 Pid  10 on host device  0 [0x01] NVIDIA A100-SXM4-80GB\n"
      "#   Rank  1 Pid  10 on host device  1 [0x02] NVIDIA A100-SXM4-80GB\n";
  const BenchmarkLog old = read_text("./all_gather_perf -g 2\n" + devices +
                                         "# size count type time algbw busbw error time algbw "
                                         "busbw error\n"
                                         "1024 128 float 12.5 0.1 0.1 0e+00 12.0 0.1 0.1 0e+00\n",
                                     LogConditions{});
  REQUIRE(old.figures.size() == 1);
  CHECK(old.figures[0].algorithm == "nccl_allgather");
  CHECK(old.figures[0].value == 12.5);
  CHECK(old.figures[0].conditions.accelerator == "A100");
  CHECK(old.figures[0].conditions.gpus_per_node == 8);  // a host may have more than ran
  CHECK(notes_hold(old, "did not check"));
  CHECK(notes_hold(old, "ends before"));
  const BenchmarkLog wide = read_text(
      "# Collective test starting: reduce_scatter_perf_mpi\n" + devices +
          "# size count type redop root time algbw busbw #wrong i_min i_max time algbw busbw "
          "#wrong timestamp\n"
          "1024 128 bfloat16 sum -1 13.5 0.1 0.1 0 13.0 14.0 12.0 0.1 0.1 0 2026-01-31 12:00:00\n",
      LogConditions{});
  CHECK(wide.figures[0].algorithm == "nccl_reducescatter");
  CHECK(wide.figures[0].dtype == "bf16");
  CHECK(wide.figures[0].value == 13.5);
}

TEST_CASE("several tests in a file are read one by one") {
  const std::string alltoall = log_text("alltoall.txt");
  const BenchmarkLog log = read_text(alltoall + log_text("all_reduce_old.txt") +
                                     replaced(alltoall, "alltoall_perf", "all_gather_perf"));
  REQUIRE(log.figures.size() == 8);
  CHECK(log.figures[2].algorithm == "nccl_alltoall");
  CHECK(log.figures[3].algorithm == "nccl_allreduce");
  CHECK(log.figures[5].algorithm == "nccl_allgather");
}

TEST_CASE("a launcher's prefixes and colours do not hide the table") {
  std::string text = log_text("alltoall.txt");
  text = "0: " + replaced(text, "\n", "\r\n0: \x1b[0m");
  CHECK(read_text(text).figures.size() == 3);
}

TEST_CASE("wrong results, bad rows and cut rows are refused with their line") {
  const std::string text = log_text("alltoall.txt");
  CHECK(
      holds(refusal(replaced(text, "30.20       0", "30.20       3")), "x.log:16: 3 wrong values"));
  CHECK(holds(refusal(replaced(text, " 62.50 ", "  nan  ")), "x.log:16: column time"));
  CHECK(holds(refusal(replaced(text, " half ", " hulf ")), "did you mean \"half\""));
  CHECK(holds(refusal(text.substr(0, text.find(" 62.50 "))), "x.log:16: the row has 5 of 13"));
  CHECK(holds(refusal(text.substr(0, text.find("     1048576"))), "did the test stop early?"));
  CHECK(holds(refusal(replaced(text, "   time  ", "cputime  ")), "without -C"));
  CHECK(holds(refusal(replaced(text, "#       size", "#       bytes")), "no column \"size\""));
  CHECK(read_text(replaced(text, "     1048576", "           0")).figures.size() == 2);
}

TEST_CASE("devices that are unknown, unlike, doubled or not as given are refused") {
  const std::string text = log_text("alltoall.txt");
  LogConditions given;
  given.accelerator = "H200";
  CHECK(holds(refusal(text, given), "the log says H100, but --accelerator gives H200"));
  given.accelerator = "H100";
  given.ranks = 2;
  CHECK(holds(refusal(text, given), "--ranks gives 2"));
  const std::string unknown = replaced(text, "NVIDIA H100 80GB HBM3", "NVIDIA X1");
  CHECK(holds(refusal(unknown, LogConditions{}), "--accelerator"));
  CHECK(read_text(unknown).figures[0].conditions.accelerator == "H100");
  CHECK(holds(refusal(replaced(text, "[0x10] NVIDIA H100", "[0x10] NVIDIA H200")),
              "different devices"));
  CHECK(holds(refusal(replaced(text, "Rank  1", "Rank  0")), "x.log:7: a second line of rank 0"));
  CHECK(holds(refusal(replaced(text, "4001 on     node-0", "4001 on     node-1")),
              "a record needs as many on each"));
  std::string none = text;
  for (const char* rank : {"#  Rank  0", "#  Rank  1", "#  Rank  2", "#  Rank  3"}) {
    const std::size_t at = none.find(rank);
    none.erase(at, none.find('\n', at) + 1 - at);
  }
  CHECK(holds(refusal(none), "--ranks"));
}

}  // namespace
}  // namespace moesim
