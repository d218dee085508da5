// One plan explained by another: what moved, what it relieves, what of the step time it takes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/compare/bake_off.h"
#include "analysis/metrics/metric_text.h"
#include "sim/core/units.h"

namespace moesim {
namespace {

std::string moves_text(const Moves& moves) {
  std::string text = fmt::format(
      "{} of {} replicas ({}) move to a rank that did not hold their "
      "expert",
      moves.slots, moves.all_slots, to_text(Bytes(moves.bytes)));
  std::string hottest;
  for (const Moves::Move& move : moves.hottest) {
    hottest += fmt::format("{}expert {} of layer {} (draws {:.1f} %) to rank {}",
                           hottest.empty() ? "" : ", ", move.expert, move.layer, 100 * move.share,
                           move.to);
    if (move.from >= 0) hottest += fmt::format(" from rank {}", move.from);
  }
  return text + (hottest.empty() ? "." : "; the hottest: " + hottest + ".");
}

std::map<std::string, double> tiers_of(const PointResult& point) {
  std::map<std::string, double> bytes;
  for (const WindowResult& window : point.windows)
    for (const auto& [tier, each] : window.tier_bytes)
      bytes[tier] += each / static_cast<double>(point.windows.size());
  return bytes;
}

std::string tiers_text(const PointResult& from, const PointResult& to) {
  std::string text;
  const auto before = tiers_of(from);
  for (const auto& [tier, bytes] : tiers_of(to)) {
    const auto found = before.find(tier);
    if (found == before.end() || found->second == 0) continue;
    text += fmt::format("{}{} {:+.1f} % (to {})", text.empty() ? "" : ", ", tier,
                        100 * (bytes / found->second - 1), to_text(Bytes(bytes)));
  }
  return text.empty() ? text : "Bytes of a step: " + text + ".";
}

std::string link_text(const PointResult& from, const PointResult& to) {
  const BottleneckResult* before = worst_bottleneck(from);
  const BottleneckResult* after = worst_bottleneck(to);
  if (before == nullptr || after == nullptr) return "";
  return fmt::format("The longest busy link of an exchange takes {} ({}) instead of {} ({}).",
                     quantity_text(after->busy, "s"), after->words,
                     quantity_text(before->busy, "s"), before->words);
}

std::string time_text(const PointResult& from, const PointResult& to) {
  std::map<std::string, double> change;
  for (const auto& [kind, seconds] : to.breakdown) change[kind] += seconds;
  for (const auto& [kind, seconds] : from.breakdown) change[kind] -= seconds;
  std::vector<std::pair<std::string, double>> parts(change.begin(), change.end());
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return std::abs(a.second) > std::abs(b.second);
  });
  std::string text;
  double sum = 0;
  for (const auto& [kind, seconds] : parts) {
    sum += seconds;
    if (std::abs(seconds) < 0.01 * std::abs(parts.front().second)) continue;
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", kind_text(kind),
                        seconds < 0 ? "-" : "+", quantity_text(std::abs(seconds), "s"));
  }
  return fmt::format("The step changes by {}{}{}.", sum < 0 ? "-" : "+",
                     quantity_text(std::abs(sum), "s"), text.empty() ? "" : ": " + text);
}

}  // namespace

std::vector<std::string> difference_text(const PointResult& from, const PointResult& to) {
  std::vector<std::string> lines;
  if (const auto moves = moves_between(from, to)) lines.push_back(moves_text(*moves));
  for (const std::string& line : {tiers_text(from, to), link_text(from, to), time_text(from, to)})
    if (!line.empty()) lines.push_back(line);
  return lines;
}

}  // namespace moesim
