// FabricPicture as an SVG file: frames, lines, boxes, texts, and a legend below.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "analysis/charts/chart_kit.h"
#include "analysis/report/page.h"
#include "analysis/topology/fabric_picture.h"

namespace moesim {
namespace {

constexpr double kTop = 48, kLegendLine = 20;

// Tiers that never meet in one fabric share a colour.
std::string colour_of(LinkTier tier) {
  constexpr std::array<std::size_t, 9> colours{0, 1, 2, 3, 4, 5, 2, 4, 3};
  return series_colour(colours[static_cast<std::size_t>(tier)]);
}

const char* fill_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::gpu:
      return "#e8f0fa";
    case DeviceKind::nvswitch:
    case DeviceKind::pcie_switch:
      return "#fdf0dc";
    case DeviceKind::cpu:
    case DeviceKind::nic:
      return "#eeeeee";
    default:
      return "#e6f4ee";
  }
}

// Tenths of a pixel are finer than any screen, and short.
std::string number(double value) { return fmt::format("{:g}", std::round(value * 10) / 10); }

std::string line_svg(const PictureLine& line) {
  const char* const dashes = line.dashed ? " stroke-dasharray=\"4 4\"" : "";
  if (line.bend == 0)
    return fmt::format("<path d=\"M{} {}L{} {}\"{}/>\n", number(line.x1), number(line.y1),
                       number(line.x2), number(line.y2), dashes);
  const double dx = line.x2 - line.x1, dy = line.y2 - line.y1;
  const double length = std::max(1.0, std::hypot(dx, dy));
  // A quadratic curve passes half as far from the line as its control point lies.
  const double x = (line.x1 + line.x2) / 2 - dy / length * line.bend * 2;
  const double y = (line.y1 + line.y2) / 2 + dx / length * line.bend * 2;
  return fmt::format("<path d=\"M{} {}Q{} {} {} {}\"{}/>\n", number(line.x1), number(line.y1),
                     number(x), number(y), number(line.x2), number(line.y2), dashes);
}

// Lines of one tier share their colour, so that a picture stays small.
std::string lines_svg(const FabricPicture& picture, const FabricSummary& summary) {
  std::string svg;
  for (const TierSummary& tier : summary.tiers) {
    std::string lines;
    std::size_t count = 0;
    for (const PictureLine& line : picture.lines) {
      if (line.tier != tier.tier) continue;
      lines += line_svg(line);
      ++count;
    }
    svg += fmt::format(
        "<g fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-opacity=\"0.8\">\n{}</g>\n",
        colour_of(tier.tier), count > 60 ? 0.8 : 1.4, lines);
  }
  return svg;
}

std::string frames_svg(const FabricPicture& picture) {
  std::string svg;
  for (const PictureFrame& frame : picture.frames)
    svg += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#fafafa\" "
        "stroke=\"#bbb\"/>\n",
        number(frame.x), number(frame.y), number(frame.width), number(frame.height));
  return svg;
}

// Over the lines, with a white rim that keeps them apart from the words.
std::string titles_svg(const FabricPicture& picture) {
  std::string svg;
  for (const PictureFrame& frame : picture.frames)
    svg += fmt::format("<text x=\"{}\" y=\"{}\" class=\"rim\">{}</text>\n",
                       number(frame.x + frame.width / 2), number(frame.y - 5),
                       escape_html(frame.title));
  return svg;
}

std::string box_svg(const PictureBox& box) {
  return fmt::format(
      "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" "
      "fill=\"{}\" stroke=\"#555\"/><text x=\"{}\" y=\"{}\">{}</text></g>\n",
      escape_html(box.tooltip), number(box.x - box.width / 2), number(box.y - box.height / 2),
      number(box.width), number(box.height), fill_of(box.kind), number(box.x), number(box.y + 3.5),
      escape_html(box.label));
}

template <class Value>
std::string range(Value low, Value high) {
  const std::string first = to_text(low), last = to_text(high);
  return first == last ? first : first + " to " + last;
}

std::string legend_svg(const FabricSummary& summary, double y) {
  std::string svg;
  for (const TierSummary& tier : summary.tiers) {
    svg += fmt::format(
        "<path d=\"M24 {0}h30\" stroke=\"{1}\" stroke-width=\"3\"/><text x=\"64\" y=\"{2}\" "
        "class=\"left\">{3}: {4} each way, {5} a link, {6} cables</text>\n",
        number(y), colour_of(tier.tier), number(y + 4), to_text(tier.tier),
        range(tier.slowest, tier.fastest), range(tier.shortest, tier.longest), tier.cables);
    y += kLegendLine;
  }
  std::string facts = fmt::format("{} GPUs, diameter {} links ({})", summary.ranks,
                                  summary.diameter, to_text(summary.farthest));
  if (std::isfinite(summary.bisection.value))
    facts += fmt::format(", bisection {} each way", to_text(summary.bisection));
  if (summary.oversubscription > 0)
    facts += fmt::format(", oversubscription {:.3g} : 1", summary.oversubscription);
  return svg + fmt::format("<text x=\"24\" y=\"{}\" class=\"left\">{}</text>\n", number(y + 4),
                           escape_html(facts));
}

}  // namespace

std::string fabric_svg(const FabricPicture& picture,
                       const FabricSummary& summary,
                       const std::string& title) {
  const double width = std::max(picture.width, 640.0);
  const double legend = kTop + picture.height + 24;
  const double height = legend + kLegendLine * static_cast<double>(summary.tiers.size() + 1) + 8;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n<style>text{{font:10px sans-serif;text-anchor:middle;fill:#222}}"
      ".left{{font-size:12px;text-anchor:start}}.head{{font-size:16px;text-anchor:start}}"
      ".rim{{paint-order:stroke;stroke:#fff;stroke-width:4px}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"24\" y=\"30\" class=\"head\">{2}</text>\n<g transform=\"translate({3} {4})\">\n",
      number(width), number(height), escape_html(title), number((width - picture.width) / 2), kTop);
  svg += frames_svg(picture) + lines_svg(picture, summary) + titles_svg(picture);
  for (const PictureBox& box : picture.boxes) svg += box_svg(box);
  for (const PictureText& text : picture.texts)
    svg += fmt::format("<text x=\"{}\" y=\"{}\"{}>{}</text>\n", number(text.x), number(text.y),
                       text.centred ? "" : " class=\"left\"", escape_html(text.text));
  return svg + "</g>\n" + legend_svg(summary, legend) + "</svg>\n";
}

}  // namespace moesim
