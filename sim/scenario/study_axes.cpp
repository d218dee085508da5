// Axes of a study, each checked before its values are made.
#include "sim/scenario/study_axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/io/json_made.h"
#include "sim/scenario/check_sizes.h"
#include "sim/scenario/latin_hypercube.h"

namespace moesim {
namespace {

constexpr std::int64_t kMostRepeats = 1000;
constexpr std::size_t kMostSampled = 10 * kMostPoints;  // values of all sampled keys
constexpr std::int64_t kLargestSampled = 1LL << 53;     // beyond, a double skips integers

// A key that some axis sets, and where it says so.
struct Taken {
  std::string key;
  JsonNode node;
};

bool contains(const std::string& parent, const std::string& key) {
  return key == parent || key.starts_with(parent + ".");
}

class AxisReader {
 public:
  explicit AxisReader(const JsonNode& root) : root_(root) {}

  std::vector<StudyAxis> read() {
    if (const auto vary = root_.find("vary")) read_vary(*vary);
    if (const auto zip = root_.find("zip")) read_zip(*zip);
    if (const auto sample = root_.find("sample")) read_sample(*sample);
    if (const auto repeat = root_.find("repeat")) read_repeat(*repeat);
    return std::move(axes_);
  }

 private:
  void read_vary(const JsonNode& vary);
  void read_zip(const JsonNode& zip);
  void read_sample(const JsonNode& sample);
  void read_repeat(const JsonNode& repeat);

  void take(const std::string& key, const JsonNode& node) {
    for (const Taken& other : taken_) {
      if (!contains(other.key, key) && !contains(key, other.key)) continue;
      node.fail(fmt::format("{} is set by {} (line {}) too; a key belongs to one axis",
                            other.key == key ? "\"" + key + "\"" : "part of \"" + key + "\"",
                            other.node.where().key, other.node.where().line));
    }
    for (const std::string& own : study_keys())
      if (contains(own, key)) node.fail("an axis sets keys of a point; \"" + own + "\" is none");
    taken_.push_back({key, node});
  }

  void count(std::size_t steps, const JsonNode& node) {
    check_points(node, root_, static_cast<double>(steps), static_cast<double>(points_),
                 kMostPoints);
    points_ *= steps;
  }

  std::int64_t seed() const {
    const auto seed = root_.find("seed");
    return seed ? seed->as_int(0, INT64_MAX) : 1;
  }

  const JsonNode& root_;
  std::vector<Taken> taken_;
  std::vector<StudyAxis> axes_;
  std::size_t points_ = 1;
};

std::vector<JsonNode> values_of(const JsonNode& list) {
  std::vector<JsonNode> values = list.items();
  if (values.empty()) list.fail("an axis needs at least one value");
  return values;
}

void AxisReader::read_vary(const JsonNode& vary) {
  for (const std::string& key : vary.keys()) {
    const JsonNode list = vary.at(key);
    take(key, list);
    const std::vector<JsonNode> values = values_of(list);
    count(values.size(), list);
    StudyAxis axis{{key}, {}};
    for (const JsonNode& value : values) axis.values.push_back({value});
    axes_.push_back(std::move(axis));
  }
}

void AxisReader::read_zip(const JsonNode& zip) {
  StudyAxis axis;
  for (const std::string& key : zip.keys()) {
    const JsonNode list = zip.at(key);
    take(key, list);
    const std::vector<JsonNode> values = values_of(list);
    if (axis.keys.empty()) {
      count(values.size(), list);
      axis.values.resize(values.size());
    } else if (values.size() != axis.values.size()) {
      list.fail(fmt::format(
          "has {} values, but \"{}\" has {}; lists of \"zip\" go step by step and are equally long",
          values.size(), axis.keys.front(), axis.values.size()));
    }
    axis.keys.push_back(key);
    for (std::size_t step = 0; step < values.size(); ++step)
      axis.values[step].push_back(values[step]);
  }
  if (axis.keys.empty()) zip.fail("needs at least one key with its list of values");
  axes_.push_back(std::move(axis));
}

// From where to where a sampled key goes, and how.
struct Range {
  double from = 0, to = 0;
  bool integer = false, log = false;
  std::string unit;
};

Range read_range(const JsonNode& node) {
  node.allow_only({"from", "to", "integer", "log", "unit"});
  Range range;
  if (const auto integer = node.find("integer")) range.integer = integer->as_bool();
  if (const auto log = node.find("log")) range.log = log->as_bool();
  if (const auto unit = node.find("unit")) range.unit = unit->as_string();
  const JsonNode from = node.at("from");
  const JsonNode to = node.at("to");
  const auto bound = [&](const JsonNode& end) {
    return range.integer ? static_cast<double>(end.as_int(-kLargestSampled, kLargestSampled))
                         : end.as_number();
  };
  range.from = bound(from);
  range.to = bound(to);
  if (range.from >= range.to)
    to.fail(to.json().dump() + " must be above \"from\", which is " + from.json().dump());
  if (range.log && range.from <= 0)
    from.fail(from.json().dump() + " has no logarithm; \"log\" needs \"from\" above 0");
  return range;
}

// An integer stands for the whole of [n, n + 1), so that both ends come as often as the others.
nlohmann::json value_at(const Range& range, double share) {
  const double end = range.integer ? range.to + 1 : range.to;
  double value = range.log ? range.from * std::pow(end / range.from, share)
                           : range.from + share * (end - range.from);
  value = std::clamp(range.integer ? std::floor(value) : value, range.from, range.to);
  nlohmann::json number = value;
  if (range.integer) number = static_cast<std::int64_t>(value);
  if (range.unit.empty()) return number;
  return number.dump() + " " + range.unit;
}

void AxisReader::read_sample(const JsonNode& sample) {
  sample.allow_only({"points", "seed", "axes"});
  const JsonNode wanted = sample.at("points");
  const auto points = static_cast<std::size_t>(wanted.as_int(1, kMostPoints));
  count(points, wanted);
  const auto own_seed = sample.find("seed");
  const JsonNode of_axes = sample.at("axes");
  StudyAxis axis{of_axes.keys(), {}};
  if (axis.keys.empty()) of_axes.fail("needs at least one key with \"from\" and \"to\"");
  if (axis.keys.size() > kMostSampled / points)
    of_axes.fail(fmt::format("{} keys at {} points are more than {} values", axis.keys.size(),
                             points, kMostSampled));
  axis.values.resize(points);
  const auto cube = latin_hypercube(
      axis.keys, points,
      static_cast<std::uint64_t>(own_seed ? own_seed->as_int(0, INT64_MAX) : seed()));
  for (std::size_t k = 0; k < axis.keys.size(); ++k) {
    const JsonNode node = of_axes.at(axis.keys[k]);
    take(axis.keys[k], node);
    const Range range = read_range(node);
    for (std::size_t step = 0; step < points; ++step)
      axis.values[step].push_back(made_at(node, value_at(range, cube[k][step])));
  }
  axes_.push_back(std::move(axis));
}

void AxisReader::read_repeat(const JsonNode& repeat) {
  take("seed", repeat);
  const std::int64_t times = repeat.as_int(1, kMostRepeats);
  if (seed() > INT64_MAX - times) repeat.fail("the seeds after \"seed\" go beyond the largest one");
  count(static_cast<std::size_t>(times), repeat);
  StudyAxis axis{{"seed"}, {}};
  for (std::int64_t i = 0; i < times; ++i) axis.values.push_back({made_at(repeat, seed() + i)});
  axes_.push_back(std::move(axis));
}

}  // namespace

const std::vector<std::string>& study_keys() {
  static const std::vector<std::string> keys{"vary", "zip", "sample", "repeat", "search"};
  return keys;
}

std::vector<StudyAxis> read_study_axes(const JsonNode& root) { return AxisReader(root).read(); }

}  // namespace moesim
