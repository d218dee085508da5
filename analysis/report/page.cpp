// Assembles a self-contained page from its sections and the embedded style and scripts.
#include "analysis/report/page.h"

#include <fmt/format.h>

#include "analysis/report/page_assets.h"

namespace moesim {
namespace {

std::string section_html(const PageSection& section, std::size_t index) {
  std::string html = "<section>\n";
  if (!section.title.empty()) html += fmt::format("<h2>{}</h2>\n", escape_html(section.title));
  if (!section.caption.empty())
    html += fmt::format("<p class=\"caption\">{}</p>\n", escape_html(section.caption));
  html += section.html;
  if (!section.text.empty()) html += fmt::format("<pre>{}</pre>\n", escape_html(section.text));
  if (!section.chart.is_null()) {
    html += fmt::format(
        "<div class=\"chart\" role=\"img\" aria-label=\"{}\"></div>\n"
        "<script type=\"application/json\" class=\"option\" id=\"option-{}\">{}</script>\n",
        escape_html(section.title), index, script_json(section.chart));
  }
  return html + "</section>\n";
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string script_json(const nlohmann::json& json) {
  // Outside of strings JSON holds no "<"; inside, the escape means the same character.
  std::string escaped;
  for (const char c : json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
    if (c == '<')
      escaped += "\\u003c";
    else
      escaped += c;
  }
  return escaped;
}

std::string html_page(const std::string& title,
                      const std::string& first_line,
                      const std::vector<PageSection>& sections) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n"
      "<body>\n",
      escape_html(title), page_style());
  if (!first_line.empty())
    html += fmt::format("<p class=\"basis\">{}</p>\n", escape_html(first_line));
  html += fmt::format("<h1>{}</h1>\n", escape_html(title));
  bool charts = false;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    html += section_html(sections[i], i);
    charts = charts || !sections[i].chart.is_null();
  }
  if (charts) html += fmt::format("<script>{}</script>\n", echarts_script());
  return html + fmt::format("<script>\n{}</script>\n<script>\n{}</script>\n</body>\n</html>\n",
                            chart_functions(), page_script());
}

}  // namespace moesim
