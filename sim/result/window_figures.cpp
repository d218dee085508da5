// Loads are added up before balancedness is taken of them: a window is judged as a whole.
#include "sim/result/window_figures.h"

#include <algorithm>

#include "sim/plan/placement.h"

namespace moesim {
namespace {

void add_loads(const StepGraph& graph, std::vector<std::vector<double>>& rank_load) {
  for (const MoeLayerLoad& load : graph.loads) {
    const std::size_t layer = load.moe_layer;
    if (static_cast<std::size_t>(load.trace_layer) != layer) continue;  // replayed once more
    if (rank_load.size() <= layer) rank_load.resize(layer + 1);
    const std::span<const std::uint32_t> held = load.of_holders();
    rank_load[layer].resize(held.size());
    for (std::size_t rank = 0; rank < held.size(); ++rank) rank_load[layer][rank] += held[rank];
  }
}

}  // namespace

void WindowFigures::add(const StepGraph& graph,
                        const Fabric& fabric,
                        const WindowResult& parts,
                        int window) {
  windows_.resize(std::max(windows_.size(), static_cast<std::size_t>(window) + 1));
  Sums& sums = windows_.back();
  ++sums.steps;
  sums.parts.step_time += parts.step_time;
  sums.parts.dispatch += parts.dispatch;
  sums.parts.expert_ffn += parts.expert_ffn;
  sums.parts.combine += parts.combine;
  sums.parts.other += parts.other;
  add_loads(graph, sums.rank_load);
  for (const MoeLayerLoad& load : graph.loads) {
    sums.ranks_reached += static_cast<double>(load.ranks_reached);
    sums.nodes_reached += static_cast<double>(load.nodes_reached);
    sums.tokens += static_cast<double>(load.tokens);
  }
  for (const Exchange& exchange : graph.exchanges)
    for (std::size_t link = 0; link < exchange.link_bytes.size(); ++link)
      sums.tier_bytes[fabric.links[link].tier] += exchange.link_bytes[link].value;
}

WindowResult WindowFigures::mean(const Sums& sums) {
  WindowResult result = sums.parts;
  for (double* part :
       {&result.step_time, &result.dispatch, &result.expert_ffn, &result.combine, &result.other})
    *part /= sums.steps;
  for (const auto& by_rank : sums.rank_load) result.balancedness.push_back(balancedness(by_rank));
  if (sums.tokens > 0) {
    result.ranks_per_token = sums.ranks_reached / sums.tokens;
    result.nodes_per_token = sums.nodes_reached / sums.tokens;
  }
  for (const auto& [tier, bytes] : sums.tier_bytes)
    result.tier_bytes.emplace_back(to_text(tier), bytes / sums.steps);
  return result;
}

std::vector<WindowResult> WindowFigures::results() const {
  std::vector<WindowResult> results;
  for (const Sums& sums : windows_) results.push_back(mean(sums));
  return results;
}

}  // namespace moesim
