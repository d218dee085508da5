// The report of a study: what the figures rest on, the question, the answer in three sentences, the
// table, the charts, and what a reader needs to trust and repeat it.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/analysis.h"
#include "analysis/compare/bake_off.h"
#include "analysis/compare/comparison.h"
#include "analysis/compare/objective_text.h"
#include "analysis/compare/repeats.h"
#include "analysis/metrics/metric_text.h"
#include "analysis/report/bake_off_text.h"
#include "analysis/report/page.h"
#include "analysis/report/rebalance_table.h"
#include "sim/core/units.h"

namespace moesim {
namespace {

constexpr std::size_t kMostRows = 1000;  // more make a page of megabytes that nobody reads
constexpr std::size_t kClosest = 20;     // plans compared with the best in words

std::string list_html(const std::vector<std::string>& lines) {
  std::string html = "<ul>\n";
  for (const std::string& line : lines) html += "<li>" + escape_html(line) + "</li>\n";
  return html + "</ul>\n";
}

// What fills the step when there is nothing to compare it with.
std::string single_answer(const PointResult& point) {
  return fmt::format("A step takes {}: dispatch {}, combine {}, compute {} on the critical path.",
                     metric_cell(point, "step_time"), metric_cell(point, "dispatch"),
                     metric_cell(point, "combine"), metric_cell(point, "compute"));
}

std::string straggler_answer(const PointResult& point) {
  if (point.straggler < 0) return "No rank holds the others up.";
  return fmt::format("With {} the others wait most for rank {}: {}.", point.label, point.straggler,
                     point.straggler_cause);
}

std::string memory_answer(const StudyResult& study) {
  const PointResult* tightest = &study.points.front();
  for (const PointResult& point : study.points)
    if (point.memory.headroom < tightest->memory.headroom) tightest = &point;
  const MemoryResult& memory = tightest->memory;
  if (!memory.fits) return fmt::format("{} does not fit: {}.", tightest->label, memory.verdict);
  return fmt::format("Memory suffices: the fullest GPU is rank {} under {}, with {} of {} left.",
                     memory.worst_rank, tightest->label, to_text(Bytes(memory.headroom)),
                     to_text(Bytes(memory.capacity)));
}

std::string answer_html(const StudyResult& study) {
  const std::optional<std::size_t> best = best_point(study);
  const std::vector<Comparison> comparisons = compare_points(study);
  const std::string objective = objective_text(study);
  std::vector<std::string> sentences;
  if (!objective.empty()) sentences.push_back(objective);
  if (!best) {
    sentences.emplace_back("No plan ran.");
  } else {
    sentences.push_back(comparisons.empty() ? single_answer(study.points[*best])
                                            : comparison_text(study, comparisons.back()));
    if (objective.empty()) sentences.push_back(straggler_answer(study.points[*best]));
  }
  sentences.push_back(memory_answer(study));
  std::string html = "<div class=\"answer\">\n";
  for (std::string& sentence : sentences) {
    if (sentence.ends_with("..")) sentence.pop_back();  // a cause that brought its own full stop
    html += "<p>" + escape_html(sentence) + "</p>\n";
  }
  return html + "</div>\n";
}

std::string figure_cell(const PointResult& point, const std::string& name, bool best) {
  const Metric* metric = find_metric(point, name);
  if (metric == nullptr) return "<td>-</td>";
  std::string band;
  if (metric->high > metric->low)
    band = fmt::format("<span class=\"band\">{}</span>", escape_html(band_text(*metric)));
  return fmt::format("<td data-value=\"{}\"{} title=\"{}\">{}{}</td>", metric->value,
                     best ? " class=\"best\"" : "", escape_html("basis: " + to_text(metric->basis)),
                     escape_html(metric_text(*metric)), band);
}

std::string description_of(const StudyResult& study, const std::string& name) {
  for (const PointResult& point : study.points)
    for (const NamedMetric& named : point.metrics)
      if (named.name == name) return named.description;
  return "";
}

std::string table_html(const StudyResult& study) {
  const std::vector<std::pair<std::string, std::string>> figures{
      {"step_time", "step time"},       {"dispatch", "dispatch"},
      {"combine", "combine"},           {"compute", "compute"},
      {"balancedness", "balancedness"}, {"tokens_per_second_per_gpu", "tokens/s per GPU"}};
  const auto head = [](const std::string& name, const std::string& tip) {
    return fmt::format("<th title=\"{}\"><button>{}</button></th>", escape_html(tip), name);
  };
  std::string html = "<div class=\"scroll\"><table class=\"sortable\">\n<thead><tr>";
  html += head("plan", "the varied values");
  for (const auto& [name, title] : figures) html += head(title, description_of(study, name));
  html += head("memory headroom", "room left on the fullest GPU");
  html += head("straggler and its cause", "the rank the others wait for most") + "</tr></thead>\n";
  html += "<tbody>\n";
  const std::optional<std::size_t> best = best_point(study);
  for (std::size_t i = 0; i < study.points.size(); ++i) {
    const PointResult& point = study.points[i];
    html += "<tr><td>" + escape_html(point.label) + "</td>";
    for (const auto& figure : figures)
      html += figure_cell(point, figure.first, best == i && figure.first == "step_time");
    html += fmt::format("<td data-value=\"{}\">{}</td>", point.memory.headroom,
                        escape_html(to_text(Bytes(point.memory.headroom))));
    html += fmt::format("<td class=\"words{}\">{}</td></tr>\n", point.ran ? "" : " failed",
                        escape_html(straggler_text(point)));
  }
  return html + "</tbody>\n</table></div>\n";
}

std::vector<std::string> comparison_lines(const StudyResult& study) {
  std::vector<std::string> lines;
  const std::vector<Comparison> comparisons = compare_points(study);
  for (std::size_t i = 0; i < comparisons.size(); ++i) {
    const Comparison& comparison = comparisons[i];
    if (i >= kClosest && i + 1 < comparisons.size()) continue;  // always the slowest, too
    const std::string certainty = certainty_text(study, comparison);
    lines.push_back(comparison_text(study, comparison) + (certainty.empty() ? "" : " ") +
                    certainty);
  }
  return lines;
}

std::vector<PageSection> chart_sections(const StudyResult& study) {
  std::vector<ChartPart> parts;
  for (const auto& entry : Catalog<ChartPart>::instance().entries())
    parts.push_back(entry.second.part);
  std::stable_sort(parts.begin(), parts.end(),
                   [](const ChartPart& a, const ChartPart& b) { return a.order < b.order; });
  std::vector<PageSection> sections;
  for (const ChartPart& part : parts) {
    const nlohmann::json option = part.option(study);
    if (option.is_null()) continue;
    PageSection section;
    section.title = part.title;
    section.caption = part.question;
    section.chart = option;
    sections.push_back(section);
  }
  return sections;
}

PageSection bake_off_section(const StudyResult& study) {
  PageSection section;
  section.title = "The plans over time";
  section.caption = fmt::format(
      "Placements saw no row of the {} windows; means over the windows unless the "
      "head says otherwise. Moved: bytes of experts that a rank does not hold yet, from {}.",
      study.points[duels(study)[0].better].windows.size(), study.points.front().label);
  const BakeOffTable table = bake_off_table(bake_off_rows(study, {}));
  section.html = "<div class=\"scroll\"><table class=\"facts\">\n<tr>";
  for (const std::string& head : table.heads) section.html += "<th>" + escape_html(head) + "</th>";
  for (const auto& row : table.rows) {
    section.html += "</tr>\n<tr>";
    for (const std::string& cell : row) section.html += "<td>" + escape_html(cell) + "</td>";
  }
  section.html += "</tr>\n</table></div>\n" + list_html(bake_off_lines(study));
  return section;
}

PageSection rebalance_section(const std::vector<std::string>& lines) {
  PageSection section;
  section.title = "Rebalancing";
  section.caption =
      "Means over the rebalances of each plan; a rebalance pays back when its cost is "
      "what the steps after it have saved.";
  section.html = list_html(lines);
  return section;
}

PageSection repeats_section(const std::vector<std::string>& lines) {
  PageSection section;
  section.title = "Over the seeds";
  section.caption =
      "Figures above are means over the seeds, charts show the first of them. An interval holds "
      "the mean of all seeds in 95 % of such samples (Student's t); it says nothing of how far the "
      "model is off, which is the band.";
  section.html = list_html(lines);
  return section;
}

PageSection checks_section(const StudyResult& study) {
  PageSection section;
  section.title = "Checks and fidelity";
  section.caption = "Laws every run is held to; " + checks_text(study) + ".";
  section.html = "<ul class=\"checks\">\n";
  for (const PointResult& point : study.points) {
    section.html += fmt::format("<li><b>{}</b>, fidelity {}</li>\n", escape_html(point.label),
                                escape_html(point.ran ? point.fidelity : "none, it did not run"));
    for (const FidelityResult& used : point.fidelities)
      section.html += fmt::format("<li>{} ({} exchanges a step)</li>\n", escape_html(used.words),
                                  used.exchanges);
    const std::string bottleneck = bottleneck_text(point);
    if (!bottleneck.empty())
      section.html += fmt::format("<li>busiest link: {}</li>\n", escape_html(bottleneck));
    for (const CheckResult& check : point.checks)
      section.html += fmt::format("<li class=\"{}\">{}</li>\n", check.passed ? "passed" : "failed",
                                  escape_html(check.law));
  }
  section.html += "</ul>\n";
  return section;
}

PageSection reproduce_section(const StudyResult& study, const std::string& command) {
  PageSection section;
  section.title = "How to reproduce";
  section.caption = "The same command on the same inputs gives the same figures to the last bit.";
  section.text = command;
  section.html = "<div class=\"scroll\"><table class=\"facts\">\n";
  const auto row = [&section](const std::string& name, const std::string& value) {
    section.html += fmt::format("<tr><td>{}</td><td><code>{}</code></td></tr>\n", escape_html(name),
                                escape_html(value));
  };
  std::vector<std::pair<std::string, std::string>> seen;
  for (const PointResult& point : study.points) {
    std::vector<std::pair<std::string, std::string>> facts = point.inputs;
    facts.emplace_back("seed", std::to_string(point.seed));
    for (const auto& fact : facts) {
      if (std::find(seen.begin(), seen.end(), fact) != seen.end()) continue;
      seen.push_back(fact);
      row(fact.first, fact.second);
    }
  }
  for (const PointResult& point : study.points) row("key of " + point.label, point.key);
  section.html += "</table></div>\n";
  return section;
}

}  // namespace

std::string html_report(const StudyResult& every, const std::string& command) {
  if (every.points.empty()) return html_page(every.name, "", {});
  const StudyResult all = mean_of_repeats(every);
  const StudyResult study = best_points(all, kMostRows);
  PageSection answer;
  answer.html = fmt::format("<p class=\"meta\">{}</p>\n", escape_html(setting_text(every))) +
                answer_html(all);
  PageSection plans;
  plans.title = "The plans";
  plans.caption = "Below each figure its band. A click on a column's head sorts.";
  if (study.points.size() < all.points.size())
    plans.caption += fmt::format(" The best {} of {} plans; study.csv has all.",
                                 study.points.size(), all.points.size());
  plans.html = table_html(study) + list_html(comparison_lines(study));
  PageSection notes;
  notes.title = "What to keep in mind";
  notes.html = list_html(distinct_notes(study));

  std::vector<PageSection> sections{answer};
  if (!duels(study).empty()) sections.push_back(bake_off_section(study));
  sections.push_back(plans);
  if (const auto lines = repeat_lines(every); !lines.empty() && lines.size() <= kMostRows)
    sections.push_back(repeats_section(lines));
  if (const auto lines = rebalance_lines(study); !lines.empty())
    sections.push_back(rebalance_section(lines));
  if (!distinct_notes(study).empty()) sections.push_back(notes);
  for (const PageSection& section : chart_sections(study)) sections.push_back(section);
  const StudyResult listed = best_points(every, kMostRows);
  sections.push_back(checks_section(listed));
  sections.push_back(reproduce_section(listed, command));
  return html_page(study.name, weakest_basis_text(study), sections);
}

}  // namespace moesim
