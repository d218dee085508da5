// Figures are means over the windows unless their head says otherwise.
#include "analysis/report/bake_off_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/compare/bake_off.h"
#include "analysis/compare/comparison.h"
#include "analysis/metrics/metric_text.h"
#include "sim/core/units.h"

namespace moesim {
namespace {

template <class Of>
double mean_of(const PointResult& point, const Of& of) {
  double sum = 0;
  for (const WindowResult& window : point.windows) sum += of(window);
  return sum / static_cast<double>(point.windows.size());
}

double worst_balance(const PointResult& point) {
  double worst = 1;
  for (const WindowResult& window : point.windows)
    for (const double layer : window.balancedness) worst = std::min(worst, layer);
  return worst;
}

double bytes_of(const WindowResult& window, const std::string& wanted) {
  double sum = 0;
  for (const auto& [tier, bytes] : window.tier_bytes)
    if (tier == wanted) sum += bytes;
  return sum;
}

double worst_step(const PointResult& point) {
  double worst = 0;
  for (const WindowResult& window : point.windows) worst = std::max(worst, window.step_time);
  return worst;
}

BakeOffRow row_of(const StudyResult& study, std::size_t index, double planning) {
  const PointResult& point = study.points[index];
  BakeOffRow row;
  row.plan = point.label;
  row.median_step = median_step(point);
  row.worst_step = worst_step(point);
  row.balancedness = mean_of(point, mean_balance);
  row.worst_layer = worst_balance(point);
  row.ranks_per_token = mean_of(point, [](const auto& w) { return w.ranks_per_token; });
  row.nodes_per_token = mean_of(point, [](const auto& w) { return w.nodes_per_token; });
  row.nvlink_bytes = mean_of(point, [](const auto& w) { return bytes_of(w, "NVLink"); });
  row.nic_bytes = mean_of(point, [](const auto& w) { return bytes_of(w, "NIC"); });
  row.headroom = point.memory.headroom;
  if (const auto moves = moves_between(study.points.front(), point)) row.moved_bytes = moves->bytes;
  row.planning = planning;
  return row;
}

std::vector<std::string> cells_of(const BakeOffRow& row) {
  return {row.plan,
          quantity_text(row.median_step, "s"),
          quantity_text(row.worst_step, "s"),
          fmt::format("{:.3f}", row.balancedness),
          fmt::format("{:.3f}", row.worst_layer),
          fmt::format("{:.2f}", row.ranks_per_token),
          fmt::format("{:.2f}", row.nodes_per_token),
          to_text(Bytes(row.nvlink_bytes)),
          to_text(Bytes(row.nic_bytes)),
          to_text(Bytes(row.headroom)),
          row.moved_bytes ? to_text(Bytes(*row.moved_bytes)) : "-",
          row.planning > 0 ? quantity_text(row.planning, "s") : "-"};
}

// The comparison of two points that the bands of their metrics allow.
std::string band_words(const StudyResult& study, const Duel& duel) {
  for (const Comparison& comparison : compare_points(study))
    if (comparison.better == duel.better && comparison.other == duel.other)
      return certainty_text(study, comparison);
  return "";
}

}  // namespace

std::vector<BakeOffRow> bake_off_rows(const StudyResult& study,
                                      const std::vector<double>& planning) {
  std::vector<BakeOffRow> rows;
  for (const std::size_t index : bake_off_ranking(study))
    rows.push_back(row_of(study, index, index < planning.size() ? planning[index] : 0));
  return rows;
}

BakeOffTable bake_off_table(const std::vector<BakeOffRow>& rows) {
  BakeOffTable table;
  table.heads = {"plan",        "median step",     "worst step",    "balance",
                 "worst layer", "ranks a token",   "nodes a token", "NVLink bytes",
                 "NIC bytes",   "memory headroom", "moved",         "planning"};
  table.rows.reserve(rows.size());
  for (const BakeOffRow& row : rows) table.rows.push_back(cells_of(row));
  return table;
}

std::vector<std::string> bake_off_lines(const StudyResult& study) {
  std::vector<std::string> lines;
  const std::vector<Duel> all = duels(study);
  for (std::size_t i = 0; i < all.size(); ++i) {
    lines.push_back(duel_text(study, all[i]));
    // Against the closest and the plan before; more would bury the answer.
    const std::string band = i == 0 || all[i].other == 0 ? band_words(study, all[i]) : "";
    if (!band.empty()) lines.back() += " " + band;
  }
  if (all.empty()) return lines;
  const std::size_t best = all[0].better, before = best == 0 ? all[0].other : 0;
  const PointResult& from = study.points[best == 0 ? best : before];
  const PointResult& to = study.points[best == 0 ? before : best];
  if (from.windows.empty() || to.windows.empty()) return lines;
  lines.push_back(fmt::format("From {} to {}:", from.label, to.label));
  for (std::string& line : difference_text(from, to)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace moesim
