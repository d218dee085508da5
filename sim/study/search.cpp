// Coarse pass over all plans drawn, then the front as the scenario has it.
#include "sim/study/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "sim/core/random.h"
#include "sim/scenario/study_reader.h"

namespace moesim {
namespace {

constexpr const char* kRate = "tokens_per_second_per_gpu";

double rate_of(const PointResult& point) {
  const Metric* rate = find_metric(point, kRate);
  return rate == nullptr ? 0 : rate->value;
}

std::string plan_text(const PointResult& point) {
  std::string text;
  for (const auto& [key, value] : point.varied)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key.substr(key.rfind('.') + 1), value);
  return text;
}

// The numbers of the plans to try, ascending: all, or a seeded draw of as many as the budget has.
std::vector<std::size_t> draw_plans(std::size_t possible, const SearchSpec& spec) {
  std::vector<std::size_t> numbers(possible);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  const auto budget = static_cast<std::size_t>(spec.budget);
  if (possible <= budget) return numbers;
  Random random = Random::named(spec.seed, "search");
  random.shuffle(std::span(numbers));
  numbers.resize(budget);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

void refuse(const std::string& reason,
            const StudyReader& reader,
            std::size_t number,
            std::vector<RefusedPlans>& refused) {
  const auto same = [&](const RefusedPlans& known) { return known.reason == reason; };
  const auto found = std::find_if(refused.begin(), refused.end(), same);
  if (found != refused.end())
    ++found->count;
  else
    refused.push_back({reason, 1, reader.values(number)});
}

// Values in a reason differ from plan to plan; what is refused is the key.
std::string kind_of(const std::string& message) {
  for (const char* key : {"plan.", "cluster.", "workload."}) {
    const std::size_t at = message.find(key);
    if (at != std::string::npos) return message.substr(at);
  }
  return message;
}

Study possible_plans(const std::string& path, const RunOptions& options, SearchResult& result) {
  const StudyReader reader(path, options.overrides, options.outside);
  result.possible = reader.size();
  Study study;
  study.file = path;
  std::optional<InputError> first;
  for (const std::size_t number : draw_plans(reader.size(), result.spec)) {
    try {
      study.points.push_back(reader.point(number));
      study.numbers.push_back(number);
    } catch (const InputError& error) {
      if (!first) first = error;
      refuse(kind_of(error.what()), reader, number, result.refused);
    }
  }
  if (study.points.empty()) throw InputError(*first);
  study.name = study.points.front().scenario.name;
  if (study.name.empty()) study.name = std::filesystem::path(path).stem().string();
  return study;
}

// Plans that are refused only when they run drop out; their workers have said why.
StudyResult run_plans(Study& study, const RunOptions& options, SearchResult& result) {
  StudyRun run(study, options);
  try {
    run.compute();
    return run.collect();
  } catch (const WorkerFailed& failure) {
    if (failure.exit_code != ExitCode::wrong_input) throw;
  }
  const std::vector<std::size_t> lacking = run.lacking();
  if (lacking.size() == study.points.size())
    throw InputError("every plan was refused when it ran, as said above");
  result.refused.push_back(
      {"when it ran, as said above", lacking.size(), study.points[lacking.front()].varied});
  for (auto index = lacking.rbegin(); index != lacking.rend(); ++index) {
    const auto at = static_cast<std::ptrdiff_t>(*index);
    study.points.erase(study.points.begin() + at);
    study.numbers.erase(study.numbers.begin() + at);
  }
  return StudyRun(study, options).collect();
}

bool within_limit(const SearchSpec& spec, const PointResult& point) {
  const Metric* time = token_time(point);
  return time != nullptr && (spec.slowest_token == 0 || time->value <= spec.slowest_token);
}

bool carries(const SearchSpec& spec, const PointResult& point) {
  return spec.objective != SearchObjective::gpus || rate_of(point) * point.ranks >= spec.load;
}

bool better(const SearchSpec& spec, const PointResult& a, const PointResult& b) {
  if (spec.objective == SearchObjective::gpus && a.ranks != b.ranks) return a.ranks < b.ranks;
  return rate_of(a) > rate_of(b);
}

std::optional<std::size_t> best_of(const SearchSpec& spec, const StudyResult& study) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < study.points.size(); ++i) {
    const PointResult& point = study.points[i];
    if (!point.ran || !within_limit(spec, point) || !carries(spec, point)) continue;
    if (!best || better(spec, point, study.points[*best])) best = i;
  }
  return best;
}

std::string found_text(const SearchSpec& spec, const PointResult& best) {
  const Metric* time = token_time(best);
  const Metric* rate = find_metric(best, kRate);
  return fmt::format(
      "{}: {:.4g} tokens/s/GPU ({:.4g} to {:.4g}) on {} GPUs at {:.3g} ms a token ({:.3g} to "
      "{:.3g}), "
      "{:.3g} GiB of memory left{}",
      plan_text(best), rate->value, rate->low, rate->high, best.ranks, 1e3 * time->value,
      1e3 * time->low, 1e3 * time->high, best.memory.headroom / (1 << 30),
      spec.slowest_token > 0 && time->high > spec.slowest_token
          ? "; the upper end of the band is beyond the limit"
          : "");
}

// What is replayed once more: the front, and those that serve the objective best, should one of
// them miss the limit by a hair then.
std::vector<std::size_t> worth_another_look(const SearchSpec& spec, const StudyResult& tried) {
  constexpr std::size_t kSpare = 5;
  std::vector<std::size_t> kept = pareto_front(tried), able;
  for (std::size_t i = 0; i < tried.points.size(); ++i)
    if (tried.points[i].ran && within_limit(spec, tried.points[i]) &&
        carries(spec, tried.points[i]))
      able.push_back(i);
  std::stable_sort(able.begin(), able.end(), [&](std::size_t a, std::size_t b) {
    return better(spec, tried.points[a], tried.points[b]);
  });
  able.resize(std::min(able.size(), kSpare));
  for (const std::size_t i : able)
    if (std::find(kept.begin(), kept.end(), i) == kept.end()) kept.push_back(i);
  return kept;
}

// Keeps of result.front what is on the front now, and the best, the fastest first.
void settle_front(SearchResult& result) {
  const auto best = best_of(result.spec, result.front);
  std::vector<std::size_t> order = pareto_front(result.front);
  if (best && std::find(order.begin(), order.end(), *best) == order.end()) {
    const double time = token_time(result.front.points[*best])->value;
    const auto later = std::find_if(order.begin(), order.end(), [&](std::size_t i) {
      return token_time(result.front.points[i])->value > time;
    });
    order.insert(later, *best);
  }
  StudyResult front{result.front.name, result.front.file, {}};
  std::vector<std::string> scenarios;
  for (const std::size_t i : order) {
    if (best && i == *best) result.best = static_cast<int>(front.points.size());
    front.points.push_back(result.front.points[i]);
    scenarios.push_back(result.scenarios[i]);
  }
  result.front = std::move(front);
  result.scenarios = std::move(scenarios);
}

// No plan keeps everything: which one is nearest, and what blocks it.
std::string miss_text(const SearchSpec& spec, const StudyResult& tried) {
  const PointResult* nearest = nullptr;
  for (const PointResult& point : tried.points) {
    if (!point.ran) continue;
    const auto miss = [&](const PointResult& one) {
      const double slow = spec.slowest_token > 0 ? token_time(one)->value / spec.slowest_token : 1;
      const double short_of =
          spec.objective == SearchObjective::gpus ? spec.load / (rate_of(one) * one.ranks) : 1;
      return std::max(slow, 1.0) * std::max(short_of, 1.0);
    };
    if (nearest == nullptr || miss(point) < miss(*nearest)) nearest = &point;
  }
  if (nearest != nullptr) {
    std::string blocks;
    const double time = token_time(*nearest)->value;
    if (!within_limit(spec, *nearest))
      blocks = fmt::format("{:.3g} ms a token, {:.3g} are allowed", 1e3 * time,
                           1e3 * spec.slowest_token);
    if (!carries(spec, *nearest))
      blocks += fmt::format("{}{:.4g} tokens/s of {:.4g}", blocks.empty() ? "" : "; ",
                            rate_of(*nearest) * nearest->ranks, spec.load);
    return fmt::format("No plan does. The nearest, {}: {}", plan_text(*nearest), blocks);
  }
  for (const PointResult& point : tried.points)
    if (nearest == nullptr || point.memory.headroom > nearest->memory.headroom) nearest = &point;
  return fmt::format("No plan fits memory. The nearest, {}: {}", plan_text(*nearest),
                     nearest->memory.verdict);
}

// A scenario of its own: paths in it start from the folder of the one searched; those of a cluster,
// which start from their file's, are made whole.
std::string scenario_text(const StudyPoint& point, const std::string& path) {
  nlohmann::json json = nlohmann::json::parse(point.canonical_json);
  json.erase("_answer");
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  json["folder"] = std::filesystem::absolute(path).string();  // readable_files.h
  for (const char* key : {"graph", "calibration", "kernel_table"}) {
    const auto found = json["cluster"].find(key);
    if (found == json["cluster"].end() || !found->is_string()) continue;
    const auto whole = folder / found->get<std::string>();
    if (std::filesystem::exists(whole)) *found = whole.string();
  }
  return json.dump(2) + "\n";
}

}  // namespace

const Metric* token_time(const PointResult& point) {
  const Metric* time = find_metric(point, "time_per_output_token");
  return time != nullptr ? time : find_metric(point, "time_to_first_token");
}

std::vector<std::size_t> pareto_front(const StudyResult& study) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < study.points.size(); ++i)
    if (study.points[i].ran && token_time(study.points[i]) != nullptr) order.push_back(i);
  const auto time = [&](std::size_t i) { return token_time(study.points[i])->value; };
  const auto rate = [&](std::size_t i) { return rate_of(study.points[i]); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return time(a) != time(b) ? time(a) < time(b) : rate(a) > rate(b);
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order)
    if (front.empty() || rate(i) > rate(front.back())) front.push_back(i);
  return front;
}

SearchResult search_plans(const std::string& path, const RunOptions& options) {
  SearchResult result;
  result.spec = load_search(path, options.overrides);
  RunOptions coarse = options;
  coarse.overrides.push_back("vary=" + result.spec.over);
  const std::vector<std::string> as_asked = coarse.overrides;
  coarse.overrides.emplace_back("fidelity=bound");
  coarse.overrides.emplace_back("workload.steps=1");
  Study study = possible_plans(path, coarse, result);
  options.say(fmt::format("trying {} of {} plans", study.points.size(), result.possible));
  result.tried = run_plans(study, coarse, result);

  const std::vector<std::size_t> kept = worth_another_look(result.spec, result.tried);
  if (kept.empty()) {
    result.verdict = miss_text(result.spec, result.tried);
    return result;
  }
  const StudyReader reader(path, as_asked, options.outside);
  RunOptions fine = options;
  fine.overrides = as_asked;
  Study front;
  front.file = path;
  front.name = study.name;
  for (const std::size_t i : kept) {
    front.numbers.push_back(study.numbers[i]);
    front.points.push_back(reader.point(study.numbers[i]));
    result.scenarios.push_back(scenario_text(front.points.back(), path));
  }
  options.say(fmt::format("once more, as the scenario asks: the {} best", kept.size()));
  result.front = run_study(front, fine);
  settle_front(result);
  result.verdict =
      result.best >= 0
          ? found_text(result.spec, result.front.points[static_cast<std::size_t>(result.best)])
          : miss_text(result.spec, result.front);
  return result;
}

}  // namespace moesim
