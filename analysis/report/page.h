// A self-contained HTML page: sections of words, tables and charts, with ECharts inlined, so that
// it works without a network. Used by the study's report and by every command that draws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace moesim {

// One section, drawn in the order of its members; an empty member is left out.
//
// `chart` is an ECharts option. A function cannot stand in JSON, so a formatter (of axis labels, or
// a tooltip's valueFormatter) is written as a text and page.js puts the function in: "@seconds",
// "@bytes", "@percent" (of a ratio), "@times" ("1.23x"), "@count", "@unit:GiB" (the number and that
// unit). Besides, "moesim": {"height": 480, "note": "..."} gives the chart's pixels and a line of
// words below it.
// NOLINTNEXTLINE(bugprone-exception-escape): nlohmann::json may throw when it is moved, never does
struct PageSection {
  std::string title;    // plain text, escaped here; empty = no heading
  std::string caption;  // plain text: the question the section answers
  std::string html;     // markup; whoever fills it escapes with escape_html
  std::string text;     // plain text, set as it stands in a fixed-width font
  nlohmann::json chart;
};

// The page: `first_line` above everything (what the figures rest on; may be empty), then the title
// as heading, then the sections. `title` and `first_line` are plain text.
std::string html_page(const std::string& title,
                      const std::string& first_line,
                      const std::vector<PageSection>& sections);

std::string escape_html(const std::string& text);  // & < > " ' as entities

// JSON that may stand inside a <script> element: no "<" survives, so no "</script>" or "<!--" can.
std::string script_json(const nlohmann::json& json);

}  // namespace moesim
