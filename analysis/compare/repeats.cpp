// Repeats found by what their points vary, and their statistics.
#include "analysis/compare/repeats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "analysis/metrics/metric_text.h"

namespace moesim {
namespace {

constexpr const char* kSeed = "seed";

// What a point varies besides its seed: equal for repeats.
std::string varied_else(const PointResult& point) {
  std::string text;
  for (const auto& [key, value] : point.varied)
    if (key != kSeed) text.append(key).append("\n").append(value).append("\n");
  return text;
}

bool varies_seed(const PointResult& point) {
  return std::any_of(point.varied.begin(), point.varied.end(),
                     [](const auto& pair) { return pair.first == kSeed; });
}

// The label ends with the seed where it varies.
std::string label_without_seed(const PointResult& point) {
  const auto at = point.label.rfind(", seed ");
  return at == std::string::npos ? "every seed" : point.label.substr(0, at);
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

Spread spread_of(const NamedMetric& named, const std::vector<double>& values) {
  Spread spread{named.name, named.metric.unit, values.size(), mean_of(values), 0};
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  const auto count = static_cast<double>(values.size());
  spread.half = student_t(values.size() - 1) * std::sqrt(squares / (count - 1) / count);
  return spread;
}

// Metrics as the first point has them that ran.
void add_spreads(const StudyResult& study, Repeats& repeats) {
  const auto first = std::find_if(repeats.points.begin(), repeats.points.end(),
                                  [&](std::size_t i) { return study.points[i].ran; });
  if (first == repeats.points.end()) return;
  for (const NamedMetric& named : study.points[*first].metrics) {
    std::vector<double> values;
    for (const std::size_t i : repeats.points) {
      const Metric* metric =
          study.points[i].ran ? find_metric(study.points[i], named.name) : nullptr;
      if (metric != nullptr) values.push_back(metric->value);
    }
    if (values.size() > 1) repeats.spreads.push_back(spread_of(named, values));
  }
}

// P(|T| <= t), for whole degrees of freedom a finite sum: Abramowitz and Stegun, Handbook of
// Mathematical Functions (1964), 26.7.3 and 26.7.4.
double within(double t, std::size_t degrees) {
  const double angle = std::atan(t / std::sqrt(static_cast<double>(degrees)));
  const double square = std::cos(angle) * std::cos(angle);
  const bool odd = degrees % 2 == 1;
  double term = odd ? std::cos(angle) : 1;
  double sum = degrees == 1 ? 0 : term;
  for (std::size_t k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= square * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (angle + std::sin(angle) * sum) : std::sin(angle) * sum;
}

// Over the points that ran.
class MeanOver {
 public:
  explicit MeanOver(std::vector<const PointResult*> points) : points_(std::move(points)) {}

  template <class Value>
  double operator()(const Value& value) const {
    std::vector<double> values;
    values.reserve(points_.size());
    for (const PointResult* point : points_) values.push_back(value(*point));
    return mean_of(values);
  }

 private:
  std::vector<const PointResult*> points_;
};

Metric mean_metric(const MeanOver& over, const NamedMetric& named) {
  const auto of = [&](double Metric::*part) {
    return over([&](const PointResult& point) {
      const Metric* own = find_metric(point, named.name);
      return own != nullptr ? own->*part : named.metric.*part;
    });
  };
  return {of(&Metric::value), named.metric.unit, of(&Metric::low), of(&Metric::high),
          named.metric.basis};
}

double seconds_of(const PointResult& point, const std::string& kind) {
  for (const auto& [own, seconds] : point.breakdown)
    if (own == kind) return seconds;
  return 0;
}

// Means of everything that is a plain sum or time; what belongs to one run stays the first's.
PointResult mean_point(const StudyResult& study, const Repeats& repeats) {
  std::vector<const PointResult*> ran;
  for (const std::size_t i : repeats.points)
    if (study.points[i].ran) ran.push_back(&study.points[i]);
  PointResult mean = ran.empty() ? study.points[repeats.points.front()] : *ran.front();
  mean.label = repeats.label;
  std::erase_if(mean.varied, [](const auto& pair) { return pair.first == kSeed; });
  if (ran.empty()) return mean;
  const MeanOver over(ran);
  for (NamedMetric& named : mean.metrics) named.metric = mean_metric(over, named);
  for (auto& part : mean.breakdown)
    part.second = over([&](const PointResult& point) { return seconds_of(point, part.first); });
  mean.memory.headroom = over([](const PointResult& point) { return point.memory.headroom; });
  return mean;
}

}  // namespace

std::vector<Repeats> find_repeats(const StudyResult& study) {
  std::vector<Repeats> all;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < study.points.size(); ++i) {
    const PointResult& point = study.points[i];
    if (!varies_seed(point)) return {};
    const auto [found, fresh] = known.try_emplace(varied_else(point), all.size());
    if (fresh) all.push_back({label_without_seed(point), {}, {}});
    all[found->second].points.push_back(i);
  }
  if (all.size() == study.points.size()) return {};
  for (Repeats& repeats : all) add_spreads(study, repeats);
  return all;
}

StudyResult mean_of_repeats(const StudyResult& study) {
  const std::vector<Repeats> all = find_repeats(study);
  if (all.empty()) return study;
  StudyResult means{study.name, study.file, {}};
  for (const Repeats& repeats : all) means.points.push_back(mean_point(study, repeats));
  return means;
}

std::string spread_text(const Spread& spread) {
  return fmt::format("{} +- {}", quantity_text(spread.mean, spread.unit),
                     quantity_text(spread.half, spread.unit));
}

std::vector<std::string> repeat_lines(const StudyResult& study) {
  std::vector<std::string> lines;
  for (const Repeats& repeats : find_repeats(study)) {
    std::string text;
    for (const Spread& spread : repeats.spreads) {
      if (spread.name != "step_time" && spread.name != "tokens_per_second_per_gpu" &&
          spread.name != "balancedness")
        continue;
      text += (text.empty() ? "" : ", ") + kind_text(spread.name) + " " + spread_text(spread);
    }
    if (text.empty()) continue;
    lines.push_back(fmt::format("{}: mean of {} seeds and its 95 % interval: {}.", repeats.label,
                                repeats.points.size(), text));
  }
  return lines;
}

double student_t(std::size_t degrees_of_freedom) {
  double low = 1.9, high = 13;  // 1.96 with many, 12.71 with one
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (within(middle, degrees_of_freedom) < 0.95 ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace moesim
