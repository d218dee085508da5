// How a law that a replay breaks is told.
#pragma once

#include <fmt/format.h>

#include <string>

#include "sim/core/error.h"
#include "sim/plan/step_graph.h"

namespace moesim {

inline std::string task_name(const StepGraph& graph, std::size_t task) {
  return fmt::format("task {} ({}, layer {})", task, to_text(graph.tasks[task].kind),
                     graph.tasks[task].layer);
}

[[noreturn]] inline void broken(const std::string& where, const std::string& law) {
  throw CheckError(where + ": " + law);
}

}  // namespace moesim
