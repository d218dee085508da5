// Names and kinds of a step's tasks.
#include "sim/plan/step_graph.h"

#include <array>

namespace moesim {

std::string to_text(TaskKind kind) {
  constexpr std::array kNames{"embedding", "attention", "tensor_reduce", "tensor_gather",
                              "router",    "dispatch",  "shared_expert", "expert_ffn",
                              "combine",   "dense_ffn", "head"};
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

}  // namespace moesim
