// DeepEP V2 tests/elastic/test_ep.py: a "Config" block, then for every mode and rank the times of
// the exchange kernels and of the copies after them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "sim/calibrate/log_conditions.h"
#include "sim/calibrate/log_lines.h"

namespace moesim {
namespace {

// What was timed, for one dispatch type.
struct TimedKey {
  std::string kernel, dtype;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 misreads the comparison with 0
  auto operator<=>(const TimedKey&) const = default;
};

struct Timed {
  std::map<int, std::vector<double>> time_us;  // by rank
  std::vector<double> copy_us;
  Location where;
};

struct V2Log {
  LogConditions stated;  // by the log
  Location stated_at;    // the last line that did
  int ranks_seen = 0;
  int per_domain = 0;  // ranks that reach each other over NVLink; 0 = not stated
  std::map<TimedKey, Timed> timed;
};

constexpr std::array<const char*, 5> kKernels{"dispatch", "expanded dispatch", "cached dispatch",
                                              "combine", "reduced combine"};

void state_once(
    int& condition, int value, const std::string& what, V2Log& log, const LineScanner& scanner) {
  if (value == 0) scanner.fail(what + " should be 1 or more");
  if (condition != 0 && condition != value)
    scanner.fail(
        fmt::format("{} are {} here and {} further up; give each configuration a file of "
                    "its own",
                    what, value, condition));
  condition = value;
  log.stated_at = scanner.where();
}

// "> Ranks: 2 x 8", "> Experts: 8/256", "> Tokens: 8190 (max: 8192), hidden: 7168",
// "> #SM: 24, #QPs: ...": the lines of the configuration.
void read_config(LineScanner& scanner, V2Log& log) {
  const auto read = [&](int& condition, const std::string& what) {
    state_once(condition, scanner.count(what), what, log, scanner);
  };
  if (scanner.skip("Ranks:")) {
    const int domains = scanner.count("the scale-out ranks");
    scanner.expect("x");
    const int each = scanner.count("the scale-up ranks");
    if (each > 0 && domains > 1000000 / each) scanner.fail("the ranks should be 1000000 at most");
    state_once(log.stated.ranks, domains * each, "the ranks", log, scanner);
    log.per_domain = each;
  } else if (scanner.skip("Experts:")) {
    read(log.stated.top_k, "the experts a token");
    scanner.expect("/");
    read(log.stated.experts, "the experts");
  } else if (scanner.skip("Tokens:")) {
    scanner.count("the tokens of this rank");
    scanner.expect("(max:");
    read(log.stated.tokens_per_rank, "the tokens a rank");
    scanner.expect("), hidden:");
    read(log.stated.hidden, "the elements of a row");
  } else if (scanner.skip("#SM:")) {
    read(log.stated.sms, "the SMs");
  }
}

// "EP: 4/16 | dispatch: 115 GB/s (SO), 376 GB/s (SU), 1064.000 us, 400 bytes | copy: 4791 GB/s,
// 187.879 us"
void read_timed(LineScanner& scanner, const std::string& dtype, V2Log& log) {
  scanner.expect("EP:");
  const int rank = scanner.count("the rank");
  scanner.expect("/");
  const int ranks = scanner.count("the ranks");
  if (rank >= ranks) scanner.fail("rank " + std::to_string(rank) + " of " + std::to_string(ranks));
  state_once(log.stated.ranks, ranks, "the ranks", log, scanner);
  log.ranks_seen = std::max(log.ranks_seen, rank + 1);
  scanner.expect("|");
  std::string kernel;
  for (const char* name : kKernels) {
    if (kernel.empty() && scanner.skip(std::string(name) + ":")) kernel = name;
  }
  if (kernel.empty()) scanner.fail("names no kernel such as \"dispatch:\" or \"combine:\"");
  scanner.number("the scale-out bandwidth");
  scanner.expect("GB/s (SO),");
  scanner.number("the scale-up bandwidth");
  scanner.expect("GB/s (SU),");
  const double time_us = scanner.number("the time");
  scanner.expect("us,");
  if (time_us == 0) scanner.fail("the time is 0 us");
  scanner.number("the bytes");
  scanner.expect("bytes |");
  if (!scanner.skip("copy:")) scanner.expect("reduce:");
  scanner.number("the copy's bandwidth");
  scanner.expect("GB/s,");
  Timed& timed = log.timed[{kernel, kernel.ends_with("combine") ? "bf16" : dtype}];
  timed.copy_us.push_back(scanner.number("the copy's time"));
  scanner.expect("us");
  timed.time_us[rank].push_back(time_us);
  if (timed.where.line == 0) timed.where = scanner.where();
}

V2Log read_lines(const std::string& path, const std::string& text) {
  V2Log log;
  std::string dtype;
  for (const LogLine& line : log_lines(text)) {
    const std::size_t mode = line.text.find("use_fp8_dispatch=");
    if (mode != std::string::npos) dtype = line.text[mode + 17] == '0' ? "bf16" : "fp8";
    for (const LogLine& part : parts_at(line, "> ")) {
      LineScanner scanner(path, part);
      scanner.expect("> ");
      read_config(scanner, log);
    }
    for (const LogLine& part : parts_at(line, "EP: ")) {
      LineScanner scanner(path, part);
      if (dtype.empty())
        scanner.fail(
            "a time before the line \"Testing with ... use_fp8_dispatch=\" that says what "
            "runs");
      read_timed(scanner, dtype, log);
    }
  }
  return log;
}

LogConditions complete(const LogConditions& given, const V2Log& log, const std::string& path) {
  LogConditions conditions = given;
  const auto take = [&](int LogConditions::*condition, const std::string& option) {
    if (log.stated.*condition != 0)
      state(conditions.*condition, log.stated.*condition, option, log.stated_at);
  };
  take(&LogConditions::ranks, "--ranks");
  if (log.per_domain > 0) conditions.gpus_per_node = log.per_domain;
  take(&LogConditions::tokens_per_rank, "--tokens-per-rank");
  take(&LogConditions::hidden, "--hidden");
  take(&LogConditions::top_k, "--top-k");
  take(&LogConditions::experts, "--experts");
  take(&LogConditions::sms, "--sms");
  need(conditions.tokens_per_rank > 0, "the tokens a rank brings", "--tokens-per-rank", path);
  need(conditions.hidden > 0, "the elements of a row", "--hidden", path);
  need(conditions.top_k > 0, "the experts a token is sent to", "--top-k", path);
  need(conditions.experts > 0, "how many experts it ran", "--experts", path);
  need(!conditions.accelerator.empty(), "which accelerator it ran on", "--accelerator", path);
  return conditions;
}

void add_figure(BenchmarkLog& log,
                const LogConditions& conditions,
                const TimedKey& key,
                const Timed& timed) {
  LoggedFigure figure;
  figure.kind = "exchange";
  figure.algorithm = "deepep_v2";
  figure.mode = "high_throughput";
  const bool combine = key.kernel.ends_with("combine");
  figure.operation = combine ? "combine" : "dispatch";
  (combine ? figure.combine_dtype : figure.dispatch_dtype) = key.dtype;
  figure.quantity = "time";
  figure.conditions = conditions;
  figure.where = timed.where;
  set_by_rank(figure, timed.time_us);
  log.figures.push_back(std::move(figure));
  log.notes.push_back(
      fmt::format("{} ({}): mean of {} lines; the copies after it take {:.1f} us "
                  "more, not in the figure.",
                  key.kernel, key.dtype, timed.copy_us.size(), mean_of(timed.copy_us)));
}

bool recognises(const std::string& text) {
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  return has("GB/s (SO),") && has("GB/s (SU),");
}

BenchmarkLog read(const std::string& path, const std::string& text, const LogConditions& given) {
  BenchmarkLog log;
  log.benchmark = "DeepEP V2 test_ep";
  const V2Log lines = read_lines(path, text);
  if (lines.timed.empty()) throw InputError(path + ": holds no line \"EP: 0/8 | dispatch: ...\"");
  const LogConditions conditions = complete(given, lines, path);
  if (lines.ranks_seen < conditions.ranks)
    log.notes.push_back("the log shows " + std::to_string(lines.ranks_seen) + " of the " +
                        std::to_string(conditions.ranks) + " ranks.");
  // The other kernels are variants of these two, and stand in only where these were not run.
  const std::map<std::string, std::string> plain{{"expanded dispatch", "dispatch"},
                                                 {"cached dispatch", "expanded dispatch"},
                                                 {"reduced combine", "combine"}};
  for (const auto& [key, timed] : lines.timed) {
    bool better = false;
    for (auto next = plain.find(key.kernel); next != plain.end(); next = plain.find(next->second))
      better = better || lines.timed.count({next->second, key.dtype}) != 0;
    if (better)
      log.notes.push_back("left out " + key.kernel + " (" + key.dtype + "): a variant.");
    else
      add_figure(log, conditions, key, timed);
  }
  return log;
}

const Registered<LogReader> registered{
    "deepep_v2",
    "DeepEP V2 tests/elastic/test_ep.py, \"EP: 0/8 | dispatch: ... GB/s (SO), ... GB/s (SU), ...\"",
    {recognises, read}};

}  // namespace
}  // namespace moesim
