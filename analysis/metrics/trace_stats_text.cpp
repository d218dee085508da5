// The tables of `moesim trace stats`.
#include "analysis/metrics/trace_stats_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/report/text_table.h"

namespace moesim {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string percent(double ratio) { return fmt::format("{:.0f} %", 100 * ratio); }

std::string share_text(const DependenceStats& stats) {
  if (stats.pairs == 0) return "-";
  return fmt::format("{:.0f} % ({:.0f} %)", 100 * stats.share, 100 * stats.chance);
}

std::string hottest_text(double share) { return share > 0 ? percent(share) : "-"; }

std::string overlap_text(const PhaseOverlap& phases) {
  if (!phases.counted) return "-";
  return fmt::format("{:.0f} {:.0f} {:.0f} %", 100 * phases.share[0], 100 * phases.share[1],
                     100 * phases.share[2]);
}

std::string skew_text(const LoadStats& stats) {
  if (stats.copies == 0) return "-";
  return fmt::format("{:.2f} ({:.2f})", stats.max_over_mean, stats.zipf_exponent);
}

std::string busiest(const LoadStats& stats) {
  if (stats.copies == 0) return "-";
  return std::to_string(std::max_element(stats.load.begin(), stats.load.end()) -
                        stats.load.begin());
}

std::string opening(const TraceStats& stats) {
  const TraceHeader& header = stats.header;
  std::string text = fmt::format(
      "{} tokens in {} requests ({} prefill, {} decode), routed by {}: {} MoE layers, "
      "top-{} of {} experts.\n",
      stats.tokens, stats.requests, stats.prefill_tokens, stats.tokens - stats.prefill_tokens,
      header.model, stats.layers.size(), header.top_k, header.experts);
  text += fmt::format("Origin: {}, seed {}. Not routed: {:.2f} % of the choices.\nDomains:",
                      header.origin, header.seed, 100 * stats.not_routed);
  for (std::size_t i = 0; i < header.domains.size(); ++i)
    text += fmt::format("{} {} ({} tokens)", i == 0 ? "" : ",", header.domains[i],
                        stats.tokens_by_domain[i]);
  return text + fmt::format(".\nData SHA-256: {}\n", header.data_sha256);
}

std::string layer_table(const TraceStats& stats) {
  const std::vector<TextColumn> columns{{"layer", 5},
                                        {"busiest expert", 8},
                                        {"max/mean", 8},
                                        {"Zipf", 5},
                                        {"hottest eighth", 8},
                                        {"domain distance", 8},
                                        {"next layer (chance)", 14},
                                        {"next token (chance)", 14},
                                        {"same first expert (chance)", 14}};
  Rows rows;
  for (const LayerTraceStats& layer : stats.layers)
    rows.push_back(
        {std::to_string(layer.layer), busiest(layer.all),
         fmt::format("{:.2f}", layer.all.max_over_mean),
         fmt::format("{:.2f}", layer.all.zipf_exponent), percent(layer.all.hottest_eighth),
         fmt::format("{:.2f}", layer.distance_between_domains), share_text(layer.next_layer),
         share_text(layer.next_token), share_text(layer.same_first_expert)});
  return text_table(columns, rows);
}

std::string pair_table(const TraceStats& stats) {
  const std::vector<TextColumn> columns{{"layer", 5},
                                        {"hottest tenth of pairs, next layer", 14},
                                        {"hottest tenth of pairs, next token", 14},
                                        {"prefill and decode share of their top 5, 10, 20", 18}};
  Rows rows;
  rows.reserve(stats.layers.size());
  for (const LayerTraceStats& layer : stats.layers)
    rows.push_back({std::to_string(layer.layer), hottest_text(layer.next_layer_hottest),
                    hottest_text(layer.next_token_hottest), overlap_text(layer.phases)});
  return text_table(columns, rows);
}

std::string domain_table(const TraceStats& stats) {
  std::vector<TextColumn> columns{{"layer", 5}};
  for (const std::string& domain : stats.header.domains) columns.push_back({domain, 14});
  Rows rows;
  for (const LayerTraceStats& layer : stats.layers) {
    std::vector<std::string> row{std::to_string(layer.layer)};
    for (const LoadStats& domain : layer.by_domain) row.push_back(skew_text(domain));
    rows.push_back(std::move(row));
  }
  return "max/mean load by layer and domain (Zipf exponent in brackets)\n" +
         text_table(columns, rows);
}

constexpr const char* kLegend =
    "max/mean: load of the busiest expert over the mean, 1 = even. Zipf: slope of log load over\n"
    "log rank, least squares over the loaded ones of the busiest three quarters of the experts.\n"
    "Hottest eighth: share of the token copies on an eighth of the experts, 12.5 % = even.\n"
    "Domain distance: mean total variation between the loads of two domains, 0 = alike, 1 = "
    "apart.\n"
    "Next layer, next token: share of choices that the top fifth of next experts covers when the\n"
    "expert before is known; chance: when it is not. Same first expert: neighbouring tokens of a\n"
    "request whose first experts agree. Few tokens make shares look larger than they are.\n"
    "Hottest tenth of pairs: share of (expert, next expert) pairs on a tenth of all such pairs.\n"
    "Prefill and decode: how many of the busiest experts of one are among those of the other.\n";

}  // namespace

std::string stats_text(const TraceStats& stats) {
  std::string text = opening(stats) + "\n" + layer_table(stats) + "\n" + pair_table(stats) + "\n";
  if (stats.header.domains.size() > 1) text += domain_table(stats) + "\n";
  return text + kLegend;
}

}  // namespace moesim
