// The study as a table for spreadsheets and scripts: RFC 4180, numbers that read back exactly.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/compare/repeats.h"
#include "analysis/report/csv.h"

namespace moesim {
namespace {

// The shortest text that reads back as the same number.
std::string number(double value) { return fmt::format("{}", value); }

// Names of pairs or metrics of all points, in order of first appearance: the columns of a table
// whose rows may lack some.
template <class List, class Name>
void add_names(std::vector<std::string>& names, const List& list, Name name_of) {
  for (const auto& item : list) {
    const std::string name = name_of(item);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
}

struct Columns {
  std::vector<std::string> varied, metrics, parts, inputs;
};

Columns columns_of(const StudyResult& study) {
  const auto first = [](const auto& pair) { return pair.first; };
  Columns columns;
  for (const PointResult& point : study.points) {
    add_names(columns.varied, point.varied, first);
    add_names(columns.metrics, point.metrics,
              [](const NamedMetric& named) { return named.name + " (" + named.metric.unit + ")"; });
    add_names(columns.parts, point.breakdown, first);
    add_names(columns.inputs, point.inputs, first);
  }
  return columns;
}

template <class Value>
const Value* value_of(const std::vector<std::pair<std::string, Value>>& pairs,
                      const std::string& name) {
  for (const auto& pair : pairs)
    if (pair.first == name) return &pair.second;
  return nullptr;
}

std::vector<std::string> head(const Columns& columns) {
  std::vector<std::string> cells{"label", "scenario"};
  cells.insert(cells.end(), columns.varied.begin(), columns.varied.end());
  for (const char* name :
       {"model", "routed_by", "cluster", "fidelity", "phase", "ranks", "steps", "seed", "ran"})
    cells.emplace_back(name);
  for (const std::string& metric : columns.metrics) {
    cells.push_back(metric);
    cells.push_back(metric + " low");
    cells.push_back(metric + " high");
    cells.push_back(metric + " basis");
  }
  for (const std::string& part : columns.parts) cells.push_back("part " + part + " (s)");
  for (const char* name :
       {"straggler", "straggler_cause", "fits_memory", "memory_worst_rank", "memory_left (B)",
        "memory_capacity (B)", "memory_verdict", "checks_passed", "checks"})
    cells.emplace_back(name);
  for (const std::string& input : columns.inputs) cells.push_back("input " + input);
  cells.emplace_back("key");
  return cells;
}

void add_metrics(std::vector<std::string>& cells,
                 const PointResult& point,
                 const Columns& columns) {
  for (const std::string& column : columns.metrics) {
    const auto found =
        std::find_if(point.metrics.begin(), point.metrics.end(), [&](const NamedMetric& named) {
          return named.name + " (" + named.metric.unit + ")" == column;
        });
    if (found == point.metrics.end()) {
      cells.insert(cells.end(), 4, "");
      continue;
    }
    const Metric& metric = found->metric;
    cells.insert(cells.end(), {number(metric.value), number(metric.low), number(metric.high),
                               to_text(metric.basis)});
  }
}

std::vector<std::string> row(const PointResult& point, const Columns& columns) {
  const auto text = [](const std::string* value) { return value ? *value : std::string(); };
  std::vector<std::string> cells{point.label, point.scenario_name};
  for (const std::string& name : columns.varied)
    cells.push_back(text(value_of(point.varied, name)));
  cells.insert(cells.end(), {point.model, point.routed_by, point.cluster, point.fidelity,
                             point.phase, std::to_string(point.ranks), std::to_string(point.steps),
                             std::to_string(point.seed), point.ran ? "true" : "false"});
  add_metrics(cells, point, columns);
  for (const std::string& part : columns.parts) {
    const double* seconds = value_of(point.breakdown, part);
    cells.push_back(seconds ? number(*seconds) : "");
  }
  const auto passed = std::count_if(point.checks.begin(), point.checks.end(),
                                    [](const CheckResult& check) { return check.passed; });
  cells.insert(cells.end(),
               {point.straggler < 0 ? "" : std::to_string(point.straggler), point.straggler_cause,
                point.memory.fits ? "true" : "false", std::to_string(point.memory.worst_rank),
                number(point.memory.headroom), number(point.memory.capacity), point.memory.verdict,
                std::to_string(passed), std::to_string(point.checks.size())});
  for (const std::string& name : columns.inputs)
    cells.push_back(text(value_of(point.inputs, name)));
  cells.push_back(point.key);
  return cells;
}

void add_line(std::string& csv, const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) csv += (i ? "," : "") + csv_cell(cells[i]);
  csv += "\r\n";
}

}  // namespace

std::string study_csv(const StudyResult& study) {
  const Columns columns = columns_of(study);
  std::string csv;
  add_line(csv, head(columns));
  for (const PointResult& point : study.points) add_line(csv, row(point, columns));
  return csv;
}

std::string repeats_csv(const StudyResult& study) {
  const std::vector<Repeats> all = find_repeats(study);
  if (all.empty()) return "";
  Columns columns = columns_of(mean_of_repeats(study));
  std::vector<std::string> cells{"label"};
  cells.insert(cells.end(), columns.varied.begin(), columns.varied.end());
  for (const char* name : {"metric", "unit", "seeds", "mean", "low 95 %", "high 95 %"})
    cells.emplace_back(name);
  std::string csv;
  add_line(csv, cells);
  for (const Repeats& repeats : all) {
    const PointResult& first = study.points[repeats.points.front()];
    for (const Spread& spread : repeats.spreads) {
      cells = {repeats.label};
      for (const std::string& name : columns.varied) {
        const std::string* value = value_of(first.varied, name);
        cells.push_back(value ? *value : "");
      }
      cells.insert(cells.end(), {spread.name, spread.unit, std::to_string(spread.count),
                                 number(spread.mean), number(spread.low()), number(spread.high())});
      add_line(csv, cells);
    }
  }
  return csv;
}

}  // namespace moesim
