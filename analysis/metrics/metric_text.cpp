// Figures and the standing phrases around them, shared by the terminal summary and the report.
#include "analysis/metrics/metric_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "sim/core/units.h"

namespace moesim {
namespace {

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end())
    list.push_back(text);
}

template <class Value>
std::string all_values(const StudyResult& study, Value value) {
  std::vector<std::string> values;
  for (const PointResult& point : study.points) add_once(values, value(point));
  return fmt::format("{}", fmt::join(values, " / "));
}

std::string counted(int count, const std::string& word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

}  // namespace

std::string quantity_text(double value, const std::string& unit) {
  if (unit == "s") return to_text(Seconds(value));
  if (unit == "B") return to_text(Bytes(value));
  if (unit == "B/s") return to_text(BytesPerSecond(value));
  if (unit == "1") return fmt::format("{:.3f}", value);
  const std::string number =
      std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
  return unit == "1/s" ? number + "/s" : number + " " + unit;
}

std::string metric_text(const Metric& metric) { return quantity_text(metric.value, metric.unit); }

std::string band_text(const Metric& metric) {
  return quantity_text(metric.low, metric.unit) + " to " + quantity_text(metric.high, metric.unit);
}

std::string kind_text(const std::string& kind) {
  std::string text = kind;
  std::replace(text.begin(), text.end(), '_', ' ');
  const auto upper = [&text](const std::string& word, const std::string& written) {
    const std::size_t at = text.find(word);
    if (at != std::string::npos) text.replace(at, word.size(), written);
  };
  upper("ffn", "FFN");
  upper("kv ", "KV ");
  return text;
}

std::string metric_cell(const PointResult& point, const std::string& name) {
  const Metric* metric = find_metric(point, name);
  return metric == nullptr ? "-" : metric_text(*metric);
}

std::string straggler_text(const PointResult& point) {
  if (!point.ran) return "did not run: " + point.memory.verdict;
  if (point.straggler < 0) return "none";
  return fmt::format("rank {}: {}", point.straggler, point.straggler_cause);
}

Basis weakest_basis(const StudyResult& study) {
  Basis weakest = Basis::exact;
  for (const PointResult& point : study.points) weakest = weaker(weakest, weakest_basis(point));
  return weakest;
}

std::string weakest_basis_text(const StudyResult& study) {
  const Basis weakest = weakest_basis(study);
  if (weakest == Basis::exact)
    return "Weakest basis: exact; the figures are counted, not estimated.";
  return fmt::format(
      "Weakest basis: {}; a figure that rests on it is typically off by up to {:.0f} %.",
      to_text(weakest), 100 * basis_error(weakest));
}

std::string checks_text(const StudyResult& study) {
  std::size_t checks = 0;
  std::size_t passed = 0;
  for (const PointResult& point : study.points) {
    for (const CheckResult& check : point.checks) {
      ++checks;
      passed += check.passed ? 1 : 0;
    }
  }
  return fmt::format("{} of {} checks passed", passed, checks);
}

std::vector<std::string> distinct_notes(const StudyResult& study) {
  std::vector<std::string> notes;
  for (const PointResult& point : study.points)
    for (const std::string& note : point.notes) add_once(notes, note);
  return notes;
}

std::vector<std::string> distinct_fidelities(const StudyResult& study) {
  std::vector<std::string> words;
  for (const PointResult& point : study.points)
    for (const FidelityResult& used : point.fidelities) add_once(words, used.words);
  return words;
}

std::string bottleneck_text(const PointResult& point) {
  const BottleneckResult* worst = worst_bottleneck(point);
  if (worst == nullptr) return "";
  return fmt::format("{} ({} of layer {}: {} over {}, busy {}, {:.0f} % used)", worst->words,
                     kind_text(worst->kind), worst->layer, quantity_text(worst->bytes, "B"),
                     worst->link, quantity_text(worst->busy, "s"), 100 * worst->utilisation);
}

std::string setting_text(const StudyResult& study) {
  const auto of = [&study](auto value) { return all_values(study, value); };
  std::string text = of([](const PointResult& point) { return point.model; });
  const std::string routed_by = of([](const PointResult& point) { return point.routed_by; });
  if (!routed_by.empty()) text += ", routed by " + routed_by;
  text += ", on " + of([](const PointResult& point) { return point.cluster; });
  text += ": " + of([](const PointResult& point) { return point.phase; });
  text += ", " + of([](const PointResult& point) { return counted(point.ranks, "rank"); });
  text += ", " + of([](const PointResult& point) { return counted(point.steps, "step"); });
  const std::string fidelity = of([](const PointResult& point) { return point.fidelity; });
  if (!fidelity.empty()) text += ", fidelity " + fidelity;
  return text;
}

}  // namespace moesim
