// Every shipped model becomes a step: each of its parts is a task, in any mixture of kinds.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/sim/plan/step_fixture.h"

using namespace moesim;

namespace {

std::int64_t tasks_of(const StepGraph& graph, TaskKind kind) {
  return std::count_if(graph.tasks.begin(), graph.tasks.end(),
                       [&](const Task& task) { return task.kind == kind; });
}

template <class Wanted>
std::int64_t layers_of(const MoeModel& model, const Wanted& wanted) {
  return std::count_if(model.layers.begin(), model.layers.end(), wanted);
}

}  // namespace

TEST_CASE("a step of every shipped model has a task for each of its parts") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    MoeModel model = load_model(name);
    test::StepCase c;
    c.nodes = 1;
    c.experts = static_cast<int>(model.experts);
    c.top_k = static_cast<int>(model.top_k);
    c.layers = 1;
    c.redundant = 0;
    c.expert_parallel = 8;
    c.tokens = 4;
    test::StepWorld world(c);
    world.model = std::move(model);
    const StepGraph graph = world.build(1);
    CHECK(tasks_of(graph, TaskKind::attention) ==
          layers_of(world.model, [](const LayerShape& layer) {
            return layer.attention.kind != AttentionKind::none;
          }));
    CHECK(tasks_of(graph, TaskKind::dense_ffn) ==
          layers_of(world.model, [](const LayerShape& layer) { return layer.dense_width > 0; }));
    const auto moe_layers = static_cast<std::int64_t>(world.model.moe_layers().size());
    CHECK(tasks_of(graph, TaskKind::expert_ffn) == moe_layers);
    CHECK(tasks_of(graph, TaskKind::dispatch) == moe_layers);
    CHECK(tasks_of(graph, TaskKind::shared_expert) ==
          (shared_expert_parameters(world.model) > 0 ? moe_layers : 0));
    for (const Task& task : graph.tasks) {
      for (const Seconds time : task.by_rank) CHECK(std::isfinite(time.count()));
    }
  }
}
