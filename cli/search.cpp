// moesim search: which plan is best for a model on a cluster, under a limit.
#include "sim/study/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "analysis/analysis.h"
#include "analysis/metrics/metric_json.h"
#include "analysis/metrics/metric_text.h"
#include "analysis/report/text_table.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/outside_option.h"
#include "cli/progress.h"
#include "sim/io/files.h"

namespace moesim {
namespace {

struct SearchArguments {
  std::string scenario, out;
  std::vector<std::string> overrides;
  int jobs = 0;
  bool json = false;
  Outside outside = Outside::refused;
};

constexpr std::size_t kWidth = 120;

std::string varied_text(const std::vector<std::pair<std::string, std::string>>& varied) {
  std::string text;
  for (const auto& [key, value] : varied)
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

void print_front(const SearchResult& result) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < result.front.points.size(); ++i) {
    const PointResult& point = result.front.points[i];
    const Metric* time = token_time(point);
    rows.push_back({static_cast<int>(i) == result.best ? "*" : "", fmt::format("{:02}", i + 1),
                    point.label, std::to_string(point.ranks),
                    metric_cell(point, "tokens_per_second_per_gpu"),
                    time == nullptr ? "-" : metric_text(*time),
                    metric_cell(point, "memory_headroom"), point.fidelity});
  }
  fmt::print("{}", text_table({{"", 1},
                               {"plan", 4},
                               {"values", 48, false},
                               {"GPUs", 6},
                               {"tokens/s/GPU", 12},
                               {"time a token", 12},
                               {"memory headroom", 12},
                               {"fidelity", 8, false}},
                              rows));
}

void print_counts(const SearchResult& result) {
  std::size_t unfit = 0;
  for (const PointResult& point : result.tried.points) unfit += point.ran ? 0 : 1;
  fmt::print("{} of {} plans tried, {} of them do not fit memory.\n", result.tried.points.size(),
             result.possible, unfit);
  for (const RefusedPlans& refused : result.refused) {
    const std::string line = fmt::format("{} refused: {} (first: {})", refused.count,
                                         refused.reason, varied_text(refused.first));
    for (const std::string& part : wrapped(line, kWidth)) fmt::print("  {}\n", part);
  }
}

nlohmann::json front_json(const SearchResult& result, const std::string& out) {
  nlohmann::json json{{"verdict", result.verdict},
                      {"possible", result.possible},
                      {"tried", result.tried.points.size()},
                      {"best", result.best},
                      {"front", nlohmann::json::array()}};
  for (std::size_t i = 0; i < result.front.points.size(); ++i) {
    const PointResult& point = result.front.points[i];
    nlohmann::json one{{"gpus", point.ranks},
                       {"scenario", fmt::format("{}/plans/{:02}.json", out, i + 1)}};
    for (const auto& [key, value] : point.varied) one["values"][key] = value;
    for (const NamedMetric& metric : point.metrics)
      one["metrics"][metric.name] = metric_json(metric.metric);
    json["front"].push_back(std::move(one));
  }
  for (const RefusedPlans& refused : result.refused)
    json["refused"].push_back({{"count", refused.count}, {"reason", refused.reason}});
  return json;
}

// Most tokens/s/GPU first, plans that did not run last.
StudyResult best_first(StudyResult study) {
  const auto rate = [](const PointResult& point) {
    const Metric* metric = find_metric(point, "tokens_per_second_per_gpu");
    return metric == nullptr ? -1 : metric->value;
  };
  std::stable_sort(study.points.begin(), study.points.end(),
                   [&](const PointResult& a, const PointResult& b) { return rate(a) > rate(b); });
  return study;
}

void write(const SearchResult& result, const std::string& out, const std::string& command) {
  make_folder(out + "/plans");
  for (std::size_t i = 0; i < result.scenarios.size(); ++i)
    write_file(fmt::format("{}/plans/{:02}.json", out, i + 1), result.scenarios[i]);
  write_file(out + "/study.csv", study_csv(result.tried));
  write_file(out + "/report.html", html_report(best_first(result.tried), command));
  write_file(out + "/search.json", front_json(result, out).dump(1) + "\n");
}

void search(const SearchArguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  RunOptions options;
  options.overrides = arguments.overrides;
  options.out = arguments.out.empty()
                    ? "out/" + std::filesystem::path(arguments.scenario).stem().string() + "_search"
                    : arguments.out;
  options.outside = arguments.outside;
  options.jobs = jobs_or_cores(arguments.jobs);
  show_progress(options);
  const SearchResult result = search_plans(arguments.scenario, options);
  write(result, options.out,
        to_text(
            CommandLine{"search", arguments.scenario, {}, arguments.overrides, arguments.outside}));
  if (arguments.json) {
    fmt::print("{}\n", front_json(result, options.out).dump(1));
    return;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  fmt::print("{}\n\n", result.tried.name);
  if (!result.front.points.empty()) print_front(result);
  fmt::print("\n");
  for (const std::string& line : wrapped(result.verdict, kWidth)) fmt::print("{}\n", line);
  print_counts(result);
  fmt::print("{:.1f} s. Pictures: {}/report.html  Plans to run again: {}/plans/\n", wall.count(),
             options.out, options.out);
}

void add_search(CLI::App& command) {
  const auto arguments = std::make_shared<SearchArguments>();
  command.add_option("scenario", arguments->scenario, "scenario file with \"search\" (JSON)")
      ->required();
  command.add_option("--out", arguments->out,
                     "folder of the results (default: out/<scenario's name>_search)");
  command
      .add_option("--set", arguments->overrides,
                  "override a key: --set search.limit='\"30 ms\"' (repeatable)")
      ->allow_extra_args(false);
  add_outside_option(command, arguments->outside);
  command.add_option("--jobs", arguments->jobs, "plans at a time (default: one a core)")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--json", arguments->json, "print the front as JSON");
  command.footer("Example: moesim search scenarios/search_h800_decode.json");
  command.callback([arguments] { search(*arguments); });
}

const Registered<Command> registered{
    "search", "Find the best plan for a model, a cluster and a limit", {add_search}};

}  // namespace
}  // namespace moesim
