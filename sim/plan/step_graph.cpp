// Names and kinds of a step's tasks.
#include "sim/plan/step_graph.h"

#include <algorithm>
#include <array>

namespace moesim {

std::string to_text(TaskKind kind) {
  constexpr std::array kNames{"embedding", "attention", "tensor_reduce", "tensor_gather",
                              "router",    "dispatch",  "shared_expert", "expert_ffn",
                              "combine",   "dense_ffn", "head",          "host"};
  return kNames.at(static_cast<std::size_t>(kind));
}

bool is_exchange(TaskKind kind) {
  return kind == TaskKind::dispatch || kind == TaskKind::combine ||
         kind == TaskKind::tensor_reduce || kind == TaskKind::tensor_gather;
}

int StepGraph::group_ranks(std::size_t task) const {
  const Exchange& exchange = exchanges[static_cast<std::size_t>(tasks[task].exchange)];
  return exchange.group_ranks > 0 ? exchange.group_ranks : ranks;
}

bool StepGraph::overlaps() const {
  return std::any_of(tasks.begin(), tasks.end(),
                     [](const Task& task) { return !task.after.empty(); });
}

}  // namespace moesim
