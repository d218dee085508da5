// Names and kinds of a step's tasks.
#include "sim/plan/step_graph.h"

#include <algorithm>
#include <array>

namespace moesim {

std::string to_text(TaskKind kind) {
  constexpr std::array kNames{"embedding",      "attention",      "tensor_reduce", "tensor_gather",
                              "router",         "dispatch",       "shared_expert", "expert_ffn",
                              "combine",        "dense_ffn",      "head",          "stage_send",
                              "context_gather", "context_reduce", "expert_fetch",  "host"};
  return kNames.at(static_cast<std::size_t>(kind));
}

bool is_exchange(TaskKind kind) {
  return kind == TaskKind::dispatch || kind == TaskKind::combine ||
         kind == TaskKind::tensor_reduce || kind == TaskKind::tensor_gather ||
         kind == TaskKind::stage_send || kind == TaskKind::context_gather ||
         kind == TaskKind::context_reduce;
}

std::span<const std::uint32_t> MoeLayerLoad::of_holders() const {
  const std::span<const std::uint32_t> all = by_rank;
  if (held_by.ranks() == 0) return all;
  return all.subspan(static_cast<std::size_t>(held_by.first),
                     static_cast<std::size_t>(held_by.ranks()));
}

int StepGraph::group_ranks(std::size_t task) const {
  const Exchange& exchange = exchanges[static_cast<std::size_t>(tasks[task].exchange)];
  return exchange.group_ranks > 0 ? exchange.group_ranks : ranks;
}

RankRange StepGraph::among(std::size_t task) const {
  const Exchange& exchange = exchanges[static_cast<std::size_t>(tasks[task].exchange)];
  return exchange.among.ranks() > 0 ? exchange.among : RankRange{0, ranks};
}

bool StepGraph::overlaps() const {
  return std::any_of(tasks.begin(), tasks.end(),
                     [](const Task& task) { return !task.after.empty(); });
}

}  // namespace moesim
