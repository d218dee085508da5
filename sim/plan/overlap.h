// Contract of an overlap schedule: one .cpp in sim/plan/overlap/ that says in which order the
// kernels and exchanges of a step's micro-batches go to the two streams of a rank, and registers an
// OverlapPart. Formulas: docs/models.md, "Overlap".
#pragma once

#include <functional>
#include <vector>

#include "sim/core/catalog.h"
#include "sim/plan/step_graph.h"

namespace moesim {

// The layers' tasks of one micro-batch, in order. Task::after counts in this list; empty = the task
// just before.
using LayerTasks = std::vector<Task>;

struct TaskPlace {
  std::size_t micro_batch = 0, task = 0;
};

struct OverlapPart {
  int micro_batches = 1;  // that the batch is cut into
  // The order in which all tasks are issued, each list's own kept. It may change a list's order
  // and `after` first.
  std::function<std::vector<TaskPlace>(std::vector<LayerTasks>&, Phase)> order;
};

// Issues each shared expert after the dispatch that it does not wait for, so that it runs beside
// it.
void free_shared_experts(LayerTasks& tasks);

// Where an exchange ends the kernels before it: [first, last) of every such stretch of a list.
std::vector<std::pair<std::size_t, std::size_t>> stretches(const LayerTasks& tasks);

// Alternates between the two micro-batches stretch by stretch, the second `behind` stretches later.
std::vector<TaskPlace> alternate(const std::vector<LayerTasks>& lists, std::size_t behind);

// Appends the lists' tasks to `tasks` in that order. The first of a list waits for what
// `tasks` ends with now; Task::micro_batch is set. Returns where the last of each list stands.
// std::logic_error when the order leaves out, repeats or turns round tasks.
std::vector<std::uint32_t> append_tasks(std::vector<LayerTasks> lists,
                                        const std::vector<TaskPlace>& order,
                                        std::vector<Task>& tasks);

}  // namespace moesim
