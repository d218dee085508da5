// The words and charts of `moesim trace stats`, from a trace counted by hand.
#include "analysis/metrics/trace_stats_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "analysis/metrics/trace_charts.h"
#include "tests/sim/trace/hand_made_trace.h"

namespace moesim {
namespace {

using nlohmann::json;

TraceStats hand_made_stats() { return trace_stats(make_trace(hand_made_columns())); }

// The line of `text` that holds `part`, or "".
std::string line_with(const std::string& text, const std::string& part) {
  const std::size_t at = text.find(part);
  if (at == std::string::npos) return "";
  const std::size_t begin = text.rfind('\n', at) + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

// Statistics of `layers` x `experts` with even loads, nothing else filled in.
TraceStats even_stats(int layers, int experts, std::vector<std::string> domains) {
  TraceStats stats;
  stats.header.experts = experts;
  stats.header.domains = std::move(domains);
  const LoadStats load =
      load_stats(std::vector<std::uint64_t>(static_cast<std::size_t>(experts), 5));
  for (int i = 0; i < layers; ++i) {
    LayerTraceStats layer;
    layer.layer = i;
    layer.all = load;
    layer.by_domain.assign(stats.header.domains.size(), load);
    stats.layers.push_back(layer);
  }
  return stats;
}

}  // namespace

TEST_CASE("the text says what the trace is") {
  const std::string text = stats_text(hand_made_stats());
  CHECK(text.find("6 tokens in 2 requests (4 prefill, 2 decode), routed by hand: 2 MoE layers, "
                  "top-2 of 4 experts.") != std::string::npos);
  CHECK(text.find("Origin: forward, seed 42. Not routed: 4.17 % of the choices.") !=
        std::string::npos);  // 1 of 24
  CHECK(text.find("Domains: code (4 tokens), prose (2 tokens).") != std::string::npos);
}

TEST_CASE("the table gives skew and dependence of each layer") {
  const std::string text = stats_text(hand_made_stats());
  // Layer 1: load 4 3 2 2; the line through (log 1, log 4), (log 2, log 3), (log 3, log 2) falls by
  // 0.3751 / 0.6173 = 0.61; expert 0 leads with 4 / 2.75 = 1.45 and holds 4 of 11 = 36 %. The
  // domains are (4 + 3 + (8/3 - 1) + 16/3) / 16 = 0.875 apart. Next layer: 11 of 22 and 9 of 22
  // pairs; same first expert: 3 of 4, by chance 7/16.
  const std::string line = line_with(text, "1.45");
  CAPTURE(line);
  CHECK(line.find("1.45  0.61     36 %      0.88") != std::string::npos);
  CHECK(line.find("50 % (41 %)") != std::string::npos);
  CHECK(line.find("75 % (44 %)") != std::string::npos);
  // By domain: code 4 3 1 0 is 4 / 2, prose 0 0 1 2 is 2 / 0.75.
  const std::string domains = line_with(text, "2.67 (");
  CHECK(domains.find("2.00 (") != std::string::npos);
  CHECK(domains.find("2.67 (1.00)") != std::string::npos);  // log 2 over log 2
}

TEST_CASE("every heat-map cell holds the load over the layer's mean") {
  const json chart = trace_charts(hand_made_stats())[0].chart;
  REQUIRE(chart["series"].size() == 3);  // all domains, code, prose
  const json& cells = chart["series"][0]["data"];
  REQUIRE(cells.size() == 8);
  // Expert 0 of the first layer: 4 copies, 4 / 2.75 of the mean, log2 of which is 0.5406.
  CHECK(cells[0] == json({0, 0, 1.455, 4, 0.5406}));
  // Expert 3 of code was never chosen: the colour scale ends at an eighth.
  CHECK(chart["series"][1]["data"][3] == json({3, 0, 0.0, 0, -3.0}));
}

TEST_CASE("the skew chart has a line a domain and one for all") {
  const json chart = trace_charts(hand_made_stats())[1].chart;
  REQUIRE(chart["series"].size() == 3);
  CHECK(chart["series"][0]["name"] == "all domains");
  CHECK(chart["series"][1]["name"] == "code");
  CHECK(chart["series"][1]["data"][0] == 2.0);
  CHECK(chart["series"][2]["data"][0] == 2.667);
  CHECK(chart["xAxis"]["data"] == json({"1", "3"}));
}

TEST_CASE("dependence is drawn with its chance, and not at all when nothing was counted") {
  const auto sections = trace_charts(hand_made_stats());
  REQUIRE(sections.size() == 3);
  const json& series = sections[2].chart["series"];
  REQUIRE(series.size() == 6);
  CHECK(series[0]["data"] == json({0.5, "-"}));  // the last layer has no next one
  CHECK(series[1]["data"][0] == 0.4091);
  CHECK(trace_charts(even_stats(2, 4, {"all"})).size() == 2);
}

TEST_CASE("a trace with too many cells for the page draws its domains together and says so") {
  const auto few = trace_charts(even_stats(8, 32, {"a", "b"}))[0].chart;
  CHECK(few["series"].size() == 3);
  CHECK(!few["moesim"].contains("note"));
  const auto many = trace_charts(even_stats(58, 256, {"a", "b"}))[0].chart;  // 3 x 14,848 cells
  CHECK(many["series"].size() == 1);
  CHECK(many["moesim"].contains("note"));
  // With one domain there is nothing to draw apart, hence nothing to say.
  CHECK(!trace_charts(even_stats(58, 1024, {"a"}))[0].chart["moesim"].contains("note"));
}

}  // namespace moesim
