// DeepEP tests/test_low_latency.py: a line a rank with a bandwidth and a time. The benchmark prints
// no shape, but bandwidth x time is the bytes of the shape it ran, which checks what is assumed.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/calibrate/log_conditions.h"
#include "sim/calibrate/log_lines.h"

namespace moesim {
namespace {

struct Printed {
  int rank = 0;
  double bandwidth_gbs = 0, time_us = 0;
  Location where;
};

struct PrintedLines {
  std::vector<Printed> round_trip, dispatch, combine;
  int hooks = 0;
};

// What a token copy weighs, as the benchmark counts it.
struct RowFormat {
  std::string dispatch_dtype, combine_dtype;
  double bytes = 0;
  bool has_dtype = true;  // records have a name for it
};

constexpr double kTolerance = 0.1;
// Routes that the benchmark masks, so that fewer rows move than tokens x top-k.
constexpr double kMaskedRoutes = 10;

Printed read_printed(LineScanner& scanner, int rank) {
  Printed printed{rank, scanner.number("the bandwidth"), 0, scanner.where()};
  scanner.expect("GB/s");
  scanner.expect(",");
  scanner.expect("avg_t=");
  printed.time_us = scanner.number("avg_t");
  scanner.expect("us");
  if (printed.time_us == 0) scanner.fail("avg_t is 0 us");
  return printed;
}

void read_rank(LineScanner& scanner, PrintedLines& lines) {
  const std::string round_trip = "Dispatch + combine bandwidth:", dispatch = "Dispatch bandwidth:",
                    hook = "Dispatch send/recv time:";
  scanner.expect("[rank");
  const int rank = scanner.count("the rank");
  scanner.expect("]");
  if (scanner.skip(round_trip)) {
    lines.round_trip.push_back(read_printed(scanner, rank));
  } else if (scanner.skip(dispatch)) {
    lines.dispatch.push_back(read_printed(scanner, rank));
    scanner.expect("|");
    scanner.expect("Combine bandwidth:");
    lines.combine.push_back(read_printed(scanner, rank));
  } else if (scanner.skip(hook)) {
    ++lines.hooks;
  } else if (!scanner.at_end() &&
             (round_trip.starts_with(scanner.rest()) || dispatch.starts_with(scanner.rest()) ||
              hook.starts_with(scanner.rest()))) {
    scanner.fail("the line is cut off");
  }
}

PrintedLines read_lines(const std::string& path, const std::string& text) {
  PrintedLines lines;
  for (const LogLine& line : log_lines(text)) {
    for (const LogLine& part : parts_at(line, "[rank ")) {
      LineScanner scanner(path, part);
      read_rank(scanner, lines);
    }
  }
  if (lines.round_trip.empty() && lines.dispatch.empty())
    throw InputError(path +
                     ": holds no \"Dispatch bandwidth\" and no \"Dispatch + combine "
                     "bandwidth\" line of a rank");
  return lines;
}

LogConditions complete(const LogConditions& given,
                       const std::string& path,
                       const std::vector<Printed>& printed,
                       std::vector<std::string>& notes) {
  LogConditions conditions = given;
  need(!conditions.accelerator.empty(), "which accelerator it ran on", "--accelerator", path);
  const auto last = std::max_element(printed.begin(), printed.end(),
                                     [](const auto& a, const auto& b) { return a.rank < b.rank; });
  count_ranks(conditions, last->rank + 1, last->where, notes);
  std::vector<std::string> assumed;
  assume(conditions.tokens_per_rank, 128, "tokens a rank", "--tokens-per-rank", assumed);
  assume(conditions.hidden, 7168, "elements a row", "--hidden", assumed);
  assume(conditions.top_k, 8, "experts a token", "--top-k", assumed);
  // The benchmark asks for as many experts on every rank.
  const int experts = 288 % conditions.ranks == 0 ? 288 : 256;
  if (conditions.experts == 0)
    need(experts % conditions.ranks == 0,
         "how many experts it ran (neither 288 nor 256 divides by " +
             std::to_string(conditions.ranks) + " ranks)",
         "--experts", path);
  assume(conditions.experts, experts, "experts", "--experts", assumed);
  note_assumed(assumed, notes);
  return conditions;
}

bool fits(const Printed& printed, const LogConditions& conditions, double row) {
  if (printed.bandwidth_gbs < 0.05) return true;  // printed with two decimals
  const double tolerance = kTolerance + 0.005 / printed.bandwidth_gbs;
  const double bytes = printed.bandwidth_gbs * printed.time_us * 1e3;
  const double routes = 1.0 * conditions.tokens_per_rank * conditions.top_k;
  return bytes < routes * row * (1 + tolerance) &&
         bytes > std::max(routes - kMaskedRoutes, 1.0) * row * (1 - tolerance);
}

// The format among `formats` whose bytes every line printed; InputError when none is.
const RowFormat& format_of(const std::vector<Printed>& printed,
                           const LogConditions& conditions,
                           const std::vector<RowFormat>& formats) {
  for (const RowFormat& format : formats) {
    if (std::all_of(printed.begin(), printed.end(),
                    [&](const Printed& one) { return fits(one, conditions, format.bytes); }))
      return format;
  }
  const auto other = std::find_if_not(printed.begin(), printed.end(), [&](const Printed& one) {
    return fits(one, conditions, formats.front().bytes);
  });
  const double bytes = other->bandwidth_gbs * other->time_us * 1e3;
  const double routes = 1.0 * conditions.tokens_per_rank * conditions.top_k;
  throw InputError(
      other->where,
      fmt::format(
          "{:.2f} GB/s x {:.2f} us are {:.3g} MB, but {} tokens with top-k {} and hidden {} "
          "make {:.3g} MB; give --tokens-per-rank, --top-k and --hidden as the benchmark "
          "ran",
          other->bandwidth_gbs, other->time_us, bytes / 1e6, conditions.tokens_per_rank,
          conditions.top_k, conditions.hidden, routes * formats.front().bytes / 1e6));
}

void add_figure(BenchmarkLog& log,
                const LogConditions& conditions,
                const std::string& operation,
                const std::vector<Printed>& printed,
                const std::vector<RowFormat>& formats) {
  const RowFormat& format = format_of(printed, conditions, formats);
  if (!format.has_dtype) {
    log.notes.push_back("left out " + operation +
                        ": its combined rows are LogFMT, which no record describes.");
    return;
  }
  LoggedFigure figure;
  figure.kind = "exchange";
  figure.algorithm = "deepep_low_latency";
  figure.mode = "low_latency";
  figure.operation = operation;
  figure.quantity = "time";
  figure.dispatch_dtype = format.dispatch_dtype;
  figure.combine_dtype = format.combine_dtype;
  figure.conditions = conditions;
  figure.where = printed.front().where;
  std::map<int, std::vector<double>> by_rank;
  for (const Printed& one : printed) by_rank[one.rank].push_back(one.time_us);
  if (printed.size() > by_rank.size())
    log.notes.push_back("took the mean of " + operation + " where a rank printed it again.");
  set_by_rank(figure, by_rank);
  log.figures.push_back(std::move(figure));
}

void add_figures(BenchmarkLog& log, const LogConditions& conditions, const PrintedLines& lines) {
  const double hidden = conditions.hidden;
  const double fp8 = hidden + hidden / 128 * 4 + 16, bf16 = hidden * 2;
  const double logfmt = hidden * 10 / 8 + hidden / 128 * 4;
  if (lines.dispatch.empty()) {
    add_figure(log, conditions, "round_trip", lines.round_trip,
               {{"fp8", "bf16", fp8 + bf16, true},
                {"bf16", "bf16", bf16 + bf16, true},
                {"fp8", "", fp8 + logfmt, false}});
    return;
  }
  add_figure(log, conditions, "dispatch", lines.dispatch,
             {{"fp8", "", fp8, true}, {"bf16", "", bf16, true}});
  add_figure(log, conditions, "combine", lines.combine,
             {{"", "bf16", bf16, true}, {"", "", logfmt, false}});
}

bool recognises(const std::string& text) {
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  // The normal tests can run these lines too, as a test of compatibility.
  return has("[rank ") && !has("[tuning]") &&
         (has("Dispatch + combine bandwidth:") || has("Dispatch bandwidth:") ||
          has("Dispatch send/recv time:"));
}

BenchmarkLog read(const std::string& path, const std::string& text, const LogConditions& given) {
  BenchmarkLog log;
  log.benchmark = "DeepEP test_low_latency";
  const PrintedLines lines = read_lines(path, text);
  const LogConditions conditions =
      complete(given, path, lines.dispatch.empty() ? lines.round_trip : lines.dispatch, log.notes);
  if (lines.hooks > 0)
    log.notes.push_back("left out " + std::to_string(lines.hooks) +
                        " lines of send/recv time: without the wait for the network they are no "
                        "time of an exchange.");
  add_figures(log, conditions, lines);
  if (log.figures.empty()) throw InputError(path + ": " + log.notes.back());
  return log;
}

const Registered<LogReader> registered{"deepep_low_latency",
                                       "DeepEP tests/test_low_latency.py, \"[rank 0] Dispatch "
                                       "bandwidth: ...\"",
                                       {recognises, read}};

}  // namespace
}  // namespace moesim
