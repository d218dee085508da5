// Contract of a benchmark's log: one .cpp in sim/calibrate/logs/ that turns what a benchmark prints
// into measurement records and registers a LogReader.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/core/error.h"

namespace moesim {

// The machine and what the log itself does not say; 0 or empty = not stated.
struct LogConditions {
  std::string accelerator;  // as records name it: "H100"
  int ranks = 0, gpus_per_node = 8;
  std::string scale_out = "none";      // "ib", "efa", "roce", "none"
  double scale_out_bandwidth_gbs = 0;  // GB/s of one GPU, one direction
  std::string transport;               // as records name it; empty = from the machine
  int tokens_per_rank = 0, hidden = 0, top_k = 0, experts = 0, groups_limit = 0, sms = 0;
};

// One figure of a log, in the keys of typed records of kind "exchange" or "collective".
struct LoggedFigure {
  std::string kind, algorithm, mode, operation;  // mode, operation: empty for collectives
  std::string quantity;                          // "time", "logical_bandwidth", "bus_bandwidth"
  std::string reported_link;                     // of a bandwidth: "scale_up", "scale_out", ""
  double value = 0;                              // us or GB/s
  std::string dispatch_dtype, combine_dtype, dtype;
  double message_bytes = 0;     // collectives
  LogConditions conditions;     // those given, completed by what the log states
  std::vector<double> by_rank;  // the same figure of every rank that printed it, in rank order
  Location where;               // file and line of the first of them
};

struct BenchmarkLog {
  std::string benchmark;  // "DeepEP test_low_latency"
  std::vector<LoggedFigure> figures;
  std::vector<std::string> notes;  // what was assumed, a sentence each
};

struct LogReader {
  // Whether the text is this benchmark's: by words that only it prints.
  std::function<bool(const std::string& text)> recognises;
  // InputError with file and line where a line of the benchmark does not read as it should, or
  // where a condition is neither in the log nor given (naming the option that gives it).
  std::function<BenchmarkLog(
      const std::string& path, const std::string& text, const LogConditions& given)>
      read;
};

// Reads the file with the reader that recognises it. InputError: none does (naming all).
BenchmarkLog read_log(const std::string& path, const LogConditions& given);

}  // namespace moesim
