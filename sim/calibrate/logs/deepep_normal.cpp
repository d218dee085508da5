// From DeepEP's tuning lines to figures: which lines count, and under which conditions.
#include "sim/calibrate/logs/deepep_normal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <tuple>

#include "sim/calibrate/log_conditions.h"
#include "sim/calibrate/logs/deepep_tuning.h"

namespace moesim {
namespace {

// In the order in which the tests run.
constexpr std::array<TuningPart, 3> kParts{TuningPart::dispatch_fp8, TuningPart::dispatch_bf16,
                                           TuningPart::combine};

std::string part_name(TuningPart part) {
  if (part == TuningPart::combine) return "combine";
  return part == TuningPart::dispatch_fp8 ? "dispatch (fp8)" : "dispatch (bf16)";
}

bool faster(const TuningLine& a, const TuningLine& b) {
  if (a.time_us > 0 && b.time_us > 0) return a.time_us < b.time_us;
  return std::tie(a.rdma_gbs, a.nvl_gbs) > std::tie(b.rdma_gbs, b.nvl_gbs);
}

// The sweeps of one process, parted where the chunks begin anew; of each the fastest line. Sweeps
// over the library's default chunk do not count, as in the benchmark.
std::vector<TuningLine> best_of_sweeps(const std::vector<TuningLine>& lines) {
  std::vector<TuningLine> best;
  std::tuple<int, int, int> last;
  for (const TuningLine& line : lines) {
    if (line.nvl_chunk == 0) continue;
    const std::tuple<int, int, int> now{line.sms, line.nvl_chunk, line.rdma_chunk};
    if (best.empty() || now <= last)
      best.push_back(line);
    else if (faster(line, best.back()))
      best.back() = line;
    last = now;
  }
  if (best.size() > kParts.size())
    throw InputError(lines.front().where,
                     fmt::format("{} sweeps over chunks begin here and none ends in a \"Best\" "
                                 "line, but the benchmark makes {}; give a log with its \"Best\" "
                                 "lines, or of one process",
                                 best.size(), kParts.size()));
  for (std::size_t i = 0; i < best.size(); ++i) best[i].part = kParts[i];
  return best;
}

std::vector<TuningLine> lines_that_count(const TuningRun& run, std::vector<std::string>& notes) {
  std::vector<TuningLine> best;
  std::map<std::string, std::vector<TuningLine>> sweeps;
  for (const TuningLine& line : run.lines) {
    if (line.part == TuningPart::sweep)
      sweeps[line.source].push_back(line);
    else
      best.push_back(line);
  }
  if (!best.empty()) return best;
  for (const auto& entry : sweeps) {
    for (const TuningLine& line : best_of_sweeps(entry.second)) best.push_back(line);
  }
  if (!best.empty())
    notes.emplace_back(
        "no \"Best\" lines: took the fastest of each sweep over chunks, and the sweeps "
        "for fp8 dispatch, bf16 dispatch and combine, the order of the benchmark.");
  return best;
}

LogConditions complete(const LogConditions& given,
                       const TuningRun& run,
                       DeepEpReach reach,
                       std::vector<std::string>& notes) {
  const std::string& path = run.lines.front().where.file;
  const ConfigLine& config = run.config;
  LogConditions conditions = given;
  if (config.tokens_per_rank > 0) {
    state(conditions.tokens_per_rank, config.tokens_per_rank, "--tokens-per-rank", config.where);
    state(conditions.hidden, config.hidden, "--hidden", config.where);
    state(conditions.top_k, config.top_k, "--top-k", config.where);
    if (config.groups_limit > 0)
      state(conditions.groups_limit, config.groups_limit, "--groups-limit", config.where);
    if (config.experts > 0) state(conditions.experts, config.experts, "--experts", config.where);
  }
  need(conditions.tokens_per_rank > 0, "the tokens a rank brings", "--tokens-per-rank", path);
  need(conditions.hidden > 0, "the elements of a row", "--hidden", path);
  need(conditions.top_k > 0, "the experts a token is sent to", "--top-k", path);
  need(!conditions.accelerator.empty(), "which accelerator it ran on", "--accelerator", path);
  std::vector<std::string> assumed;
  if (reach == DeepEpReach::one_node) {
    assume(conditions.ranks, 8, "ranks", "--ranks", assumed);
  } else {
    need(conditions.ranks > 0, "how many ranks ran", "--ranks", path);
    need(conditions.scale_out != "none", "which network joins the nodes", "--scale-out", path);
  }
  const int experts = default_experts(conditions.ranks);
  if (conditions.experts == 0) need(experts > 0, "how many experts it ran", "--experts", path);
  assume(conditions.experts, experts, "experts", "--experts", assumed);
  note_assumed(assumed, notes);
  return conditions;
}

// Every printing process as a rank, in the order of the ranks its launcher names, else of the log.
std::map<int, std::vector<double>> by_process(const std::vector<TuningLine>& lines,
                                              double TuningLine::*value) {
  const auto rank_of = [](const std::string& source) {
    const std::size_t last = source.find_last_of("0123456789");
    if (last == std::string::npos) return 0;
    const std::size_t before = source.find_last_not_of("0123456789", last);
    const std::size_t first = before == std::string::npos ? 0 : before + 1;
    return std::atoi(source.substr(first, std::min<std::size_t>(last + 1 - first, 9)).c_str());
  };
  std::set<std::pair<int, std::string>> sources;
  for (const TuningLine& line : lines) sources.insert({rank_of(line.source), line.source});
  std::map<int, std::vector<double>> printed;
  for (const TuningLine& line : lines) {
    const auto place = sources.find({rank_of(line.source), line.source});
    const bool named = sources.size() > 1;
    printed[named ? static_cast<int>(std::distance(sources.begin(), place))
                  : static_cast<int>(printed.size())]
        .push_back(line.*value);
  }
  return printed;
}

void name_part(LoggedFigure& figure, TuningPart part) {
  figure.kind = "exchange";
  figure.algorithm = "deepep_normal";
  figure.mode = "high_throughput";
  if (part == TuningPart::combine) {
    figure.operation = "combine";
    figure.combine_dtype = "bf16";
  } else {
    figure.operation = "dispatch";
    figure.dispatch_dtype = part == TuningPart::dispatch_fp8 ? "fp8" : "bf16";
  }
}

LoggedFigure figure_of(const std::vector<TuningLine>& lines,
                       const LogConditions& conditions,
                       DeepEpReach reach) {
  const TuningLine& first = lines.front();
  LoggedFigure figure;
  name_part(figure, first.part);
  figure.conditions = conditions;
  state(figure.conditions.sms, first.sms, "--sms", first.where);
  figure.where = first.where;
  double TuningLine::*value = &TuningLine::time_us;
  figure.quantity = "time";
  if (first.time_us == 0) {
    const bool scale_out = reach == DeepEpReach::several_nodes;
    value = scale_out ? &TuningLine::rdma_gbs : &TuningLine::nvl_gbs;
    figure.quantity = "logical_bandwidth";
    figure.reported_link = scale_out ? "scale_out" : "scale_up";
  }
  for (const TuningLine& line : lines) {
    if (line.*value == 0)
      throw InputError(line.where, figure.quantity == "time"
                                       ? "lacks the time, which other lines of this part give"
                                       : "lacks the bandwidth of " + figure.reported_link);
  }
  set_by_rank(figure, by_process(lines, value));
  return figure;
}

void add_run(BenchmarkLog& log,
             const TuningRun& run,
             const LogConditions& given,
             DeepEpReach reach) {
  const LogConditions conditions = complete(given, run, reach, log.notes);
  std::map<std::pair<TuningPart, int>, std::vector<TuningLine>> figures;
  for (const TuningLine& line : lines_that_count(run, log.notes))
    figures[{line.part, line.sms}].push_back(line);
  for (const auto& [key, lines] : figures) {
    log.figures.push_back(figure_of(lines, conditions, reach));
    std::vector<double> notify;
    for (const TuningLine& line : lines) notify.push_back(line.notify_us);
    if (mean_of(notify) > 0)
      log.notes.push_back(fmt::format("{}: notify takes {:.1f} us more, not in the figure.",
                                      part_name(key.first), mean_of(notify)));
  }
  if (!run.layout_us.empty())
    log.notes.push_back(fmt::format("the layout kernel takes {:.1f} us more, not in the figures.",
                                    mean_of(run.layout_us)));
}

}  // namespace

bool recognises_deepep_normal(const std::string& text, DeepEpReach reach) {
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (!has("[tuning] SMs") && !has("[tuning] Best") && !has("[config] num_tokens=")) return false;
  const bool several = has("RDMA chunk") || has("num_topk_groups=");
  return several == (reach == DeepEpReach::several_nodes);
}

BenchmarkLog read_deepep_normal(const std::string& path,
                                const std::string& text,
                                const LogConditions& given,
                                DeepEpReach reach) {
  BenchmarkLog log;
  log.benchmark =
      reach == DeepEpReach::one_node ? "DeepEP test_intranode" : "DeepEP test_internode";
  for (const TuningRun& run : read_tuning_runs(path, text)) {
    if (!run.lines.empty()) add_run(log, run, given, reach);
  }
  if (log.figures.empty())
    throw InputError(path + ": holds no \"[tuning]\" line with a chunk; did the test stop early?");
  if (text.find("Dispatch + combine bandwidth:") != std::string::npos)
    log.notes.emplace_back("left out the low-latency lines: a test of compatibility.");
  return log;
}

}  // namespace moesim
