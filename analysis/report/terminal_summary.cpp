// The study in a terminal: a table of the plans, what the comparison says, and what it rests on.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/compare/comparison.h"
#include "analysis/compare/objective_text.h"
#include "analysis/compare/repeats.h"
#include "analysis/metrics/metric_text.h"
#include "analysis/report/fault_table.h"
#include "analysis/report/rebalance_table.h"
#include "analysis/report/text_table.h"
#include "sim/core/units.h"

namespace moesim {
namespace {

constexpr std::size_t kWidth = 120;
constexpr std::size_t kMostRows = 40;  // about a screen

class Ink {
 public:
  explicit Ink(bool colour) : colour_(colour) {}
  std::string bold(const std::string& text) const { return in("1", text); }
  std::string red(const std::string& text) const { return in("31", text); }
  std::string green(const std::string& text) const { return in("32", text); }

 private:
  std::string in(const char* code, const std::string& text) const {
    return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }
  bool colour_;
};

std::string paragraph(const std::string& text, const std::string& indent, const std::string& mark) {
  std::string lines;
  for (const std::string& line : wrapped(text, kWidth - indent.size()))
    lines += (lines.empty() ? mark : indent) + line + "\n";
  return lines;
}

std::string plan_table(const StudyResult& study) {
  // 74 characters of figures and 7 gaps of 2 leave 32 of the 120 for the cause.
  const std::vector<TextColumn> columns{
      {"plan", 20, false},          {"step time", 9, true},
      {"dispatch", 8, true},        {"combine", 8, true},
      {"compute", 8, true},         {"balancedness", 12, true},
      {"memory headroom", 9, true}, {"straggler and its cause", 32, false}};
  std::vector<std::vector<std::string>> rows;
  for (const PointResult& point : study.points)
    rows.push_back({point.label, metric_cell(point, "step_time"), metric_cell(point, "dispatch"),
                    metric_cell(point, "combine"), metric_cell(point, "compute"),
                    metric_cell(point, "balancedness"), to_text(Bytes(point.memory.headroom)),
                    straggler_text(point)});
  return text_table(columns, rows);
}

std::string comparison_lines(const StudyResult& study, const Ink& ink) {
  constexpr std::size_t kClosest = 4;  // more would bury the answer; the table has the rest
  const std::vector<Comparison> comparisons = compare_points(study);
  std::string lines;
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    if (i >= kClosest && i + 1 < comparisons.size()) continue;  // always the slowest, too
    for (const std::string& line : wrapped(comparison_text(study, comparisons[i]), kWidth))
      lines += ink.bold(ink.green(line)) + "\n";
    const std::string certainty = certainty_text(study, comparisons[i]);
    if (!certainty.empty()) lines += paragraph(certainty, "  ", "  ");
  }
  return lines.empty() ? lines : lines + "\n";
}

// The link that keeps an exchange of the step longest, and the fidelity, of each plan that ran.
std::string network_lines(const StudyResult& study) {
  std::string lines;
  for (const PointResult& point : study.points) {
    const std::string bottleneck = bottleneck_text(point);
    if (!bottleneck.empty())
      lines += paragraph("busiest link, " + point.label + ": " + bottleneck, "  ", "");
  }
  for (const std::string& words : distinct_fidelities(study)) lines += paragraph(words, "  ", "");
  return lines.empty() ? lines : lines + "\n";
}

std::string failed_checks(const StudyResult& study, const Ink& ink) {
  std::string lines;
  for (const PointResult& point : study.points)
    for (const CheckResult& check : point.checks)
      if (!check.passed)
        lines += ink.red(paragraph("FAILED, " + point.label + ": " + check.law, "  ", "  "));
  return lines;
}

}  // namespace

std::string terminal_summary(const StudyResult& study, bool colour) {
  const Ink ink(colour);
  const StudyResult all = mean_of_repeats(study);
  const StudyResult means = best_points(all, kMostRows);
  std::string text;
  for (const std::string& line : wrapped(study.name, kWidth)) text += ink.bold(line) + "\n";
  text += paragraph(setting_text(study), "", "") + "\n";
  if (means.points.size() < all.points.size())
    text += fmt::format("The best {} of {} plans; study.csv has all.\n\n", means.points.size(),
                        all.points.size());
  text += plan_table(means) + "\n" + fault_table(means) + rebalance_table(means);
  std::vector<std::string> repeats = repeat_lines(study);
  if (repeats.size() > kMostRows) repeats = {"repeats.csv has means and intervals of all plans."};
  for (const std::string& line : repeats) text += paragraph(line, "  ", "");
  if (!repeats.empty()) text += "\n";
  if (const std::string objective = objective_text(all); !objective.empty())
    text += paragraph(objective, "", "");
  text += comparison_lines(all, ink);
  text += network_lines(means);
  text += paragraph(weakest_basis_text(study), "", "");
  text += checks_text(study) + ".\n" + failed_checks(study, ink);
  for (const std::string& note : distinct_notes(means)) text += paragraph(note, "  ", "- ");
  return text;
}

}  // namespace moesim
