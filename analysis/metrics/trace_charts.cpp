// The charts of `moesim trace stats`.
#include "analysis/metrics/trace_charts.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "analysis/charts/chart_kit.h"

namespace moesim {
namespace {

using nlohmann::json;

constexpr double kDoublings = 3;  // the colour scale ends at 8 times the mean and an eighth
constexpr std::size_t kMostCells = 40000;  // of all heat maps; more makes the page slow

std::vector<std::string> layer_names(const TraceStats& stats) {
  std::vector<std::string> names;
  for (const LayerTraceStats& layer : stats.layers) names.push_back(std::to_string(layer.layer));
  return names;
}

// Colours by log2 of load over mean, so that twice and half the mean weigh alike. The diverging
// red-blue scheme of ColorBrewer, safe for colour-blind readers.
json load_colours() {
  return {{"type", "continuous"},
          {"orient", "horizontal"},
          {"left", 0},
          {"top", 0},
          {"itemHeight", 220},
          {"itemWidth", 14},
          {"dimension", 4},
          {"min", -kDoublings},
          {"max", kDoublings},
          {"text", {"8x the mean and over", "an eighth and under"}},
          {"inRange", {{"color", {"#2166ac", "#67a9cf", "#f2f2f2", "#ef8a62", "#b2182b"}}}}};
}

using LoadOf = std::function<const LoadStats&(const LayerTraceStats&)>;

json cells(const TraceStats& stats, const LoadOf& load_of) {
  json data = json::array();
  for (std::size_t row = 0; row < stats.layers.size(); ++row) {
    const LoadStats& load = load_of(stats.layers[row]);
    const double mean = static_cast<double>(std::max<std::uint64_t>(load.copies, 1)) /
                        static_cast<double>(load.load.size());
    for (std::size_t expert = 0; expert < load.load.size(); ++expert) {
      const double ratio = static_cast<double>(load.load[expert]) / mean;
      const double doublings = ratio > 0 ? std::log2(ratio) : -kDoublings;
      data.push_back({expert, row, rounded(ratio), load.load[expert],
                      rounded(std::clamp(doublings, -kDoublings, kDoublings))});
    }
  }
  return data;
}

void add_heat_map(json& option,
                  const TraceStats& stats,
                  const std::string& title,
                  const LoadOf& load_of) {
  const auto experts = static_cast<std::size_t>(stats.header.experts);
  json y_axis = category_axis("layer", layer_names(stats));
  y_axis["inverse"] = true;
  y_axis["nameGap"] = 36;
  const int panel = add_panel(option, title, category_axis("expert", numbered(experts)), y_axis,
                              std::clamp(16 * static_cast<int>(stats.layers.size()), 80, 620));
  option["grid"][static_cast<std::size_t>(panel)]["right"] = 12;
  option["series"].push_back(
      {{"type", "heatmap"},
       {"name", title},
       {"xAxisIndex", panel},
       {"yAxisIndex", panel},
       {"dimensions", {"expert", "layer", "times the layer's mean", "token copies", "doublings"}},
       {"encode", {{"x", 0}, {"y", 1}, {"value", 4}, {"tooltip", {0, 1, 2, 3}}}},
       {"data", cells(stats, load_of)}});
}

json load_chart(const TraceStats& stats) {
  json option = chart_option(0, "@unit:");
  option.erase("legend");
  option["tooltip"] = {{"trigger", "item"}, {"confine", true}};
  option["visualMap"] = load_colours();
  add_heat_map(option, stats, "all domains",
               [](const LayerTraceStats& layer) -> const LoadStats& { return layer.all; });
  const std::size_t domains = stats.header.domains.size();
  const std::size_t cells_each =
      stats.layers.size() * static_cast<std::size_t>(stats.header.experts);
  if (domains > 1 && cells_each * (domains + 1) > kMostCells)
    option["moesim"]["note"] = "Domains are not drawn apart: the trace has too many cells.";
  else if (domains > 1)
    for (std::size_t i = 0; i < domains; ++i)
      add_heat_map(
          option, stats, stats.header.domains[i],
          [i](const LayerTraceStats& layer) -> const LoadStats& { return layer.by_domain[i]; });
  return option;
}

json line(const std::string& name, std::size_t colour, bool dashed, json data) {
  return {{"type", "line"},
          {"name", name},
          {"color", series_colour(colour)},
          {"symbolSize", dashed ? 0 : 5},
          {"lineStyle", {{"type", dashed ? "dashed" : "solid"}}},
          {"data", std::move(data)}};
}

json lines_chart(const TraceStats& stats, const std::string& y_name, const std::string& formatter) {
  json option = chart_option(360, formatter);
  option["tooltip"]["axisPointer"]["type"] = "line";
  option["grid"] = {{"left", 74}, {"right", 96}, {"top", 44}, {"bottom", 52}};
  option["xAxis"] = category_axis("layer", layer_names(stats));
  option["yAxis"] = value_axis(y_name);
  option["yAxis"]["min"] = 0;
  return option;
}

json skew_chart(const TraceStats& stats) {
  json option = lines_chart(stats, "max/mean load (1 = even)", "@times");
  json all = json::array();
  for (const LayerTraceStats& layer : stats.layers) all.push_back(rounded(layer.all.max_over_mean));
  option["series"].push_back(line("all domains", 6, true, all));
  for (std::size_t i = 0; i < stats.header.domains.size(); ++i) {
    json data = json::array();
    for (const LayerTraceStats& layer : stats.layers)
      data.push_back(rounded(layer.by_domain[i].max_over_mean));
    option["series"].push_back(
        line(stats.header.domains[i], i < 6 ? i : i + 1, false, std::move(data)));
  }
  return option;
}

json dependence_chart(const TraceStats& stats) {
  json option = lines_chart(stats, "share", "@percent");
  option["yAxis"]["max"] = 1;
  option["yAxis"]["axisLabel"] = {{"formatter", "@percent"}};
  struct Kind {
    const char* name;
    DependenceStats LayerTraceStats::*stats;
  };
  const Kind kinds[] = {{"next layer", &LayerTraceStats::next_layer},
                        {"next token", &LayerTraceStats::next_token},
                        {"same first expert", &LayerTraceStats::same_first_expert}};
  std::size_t colour = 0;
  for (const Kind& kind : kinds) {
    json share = json::array(), chance = json::array();
    bool any = false;
    for (const LayerTraceStats& layer : stats.layers) {
      const DependenceStats& dependence = layer.*kind.stats;
      const bool counted = dependence.pairs > 0;
      any = any || counted;
      share.push_back(counted ? json(rounded(dependence.share)) : json("-"));
      chance.push_back(counted ? json(rounded(dependence.chance)) : json("-"));
    }
    if (any) {
      option["series"].push_back(line(kind.name, colour, false, std::move(share)));
      option["series"].push_back(
          line(std::string(kind.name) + ", chance", colour, true, std::move(chance)));
    }
    ++colour;
  }
  return option["series"].empty() ? json(nullptr) : option;
}

PageSection section(const char* title, const char* caption, json chart) {
  PageSection result;
  result.title = title;
  result.caption = caption;
  result.chart = std::move(chart);
  return result;
}

}  // namespace

std::vector<PageSection> trace_charts(const TraceStats& stats) {
  std::vector<PageSection> sections{
      section("Expert load",
              "Which experts does the router favour? Token copies of each expert over the mean of "
              "its layer, colours by doublings.",
              load_chart(stats)),
      section("Skew by layer and domain",
              "How much more than the mean does the busiest expert of a layer receive?",
              skew_chart(stats))};
  json dependence = dependence_chart(stats);
  if (!dependence.is_null())
    sections.push_back(section(
        "What one choice tells of the next",
        "Next layer, next token: share of choices that the top fifth of next experts covers "
        "when the expert before is known; dashed: when it is not. Same first expert: "
        "neighbouring tokens of a request whose first experts agree; dashed: by chance.",
        std::move(dependence)));
  return sections;
}

}  // namespace moesim
