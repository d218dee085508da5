// Makes the tasks of a step or of one of its micro-batches, one after another.
#pragma once

#include <utility>
#include <vector>

#include "sim/plan/context_parallel.h"
#include "sim/plan/moe_layers.h"
#include "sim/plan/overlap.h"
#include "sim/plan/stages.h"
#include "sim/plan/step_graph.h"
#include "sim/plan/tensor_exchanges.h"

namespace moesim {

// Exchanges and loads go to the graph, tasks are returned. All arguments must outlive the object.
class TaskBuilder {
 public:
  TaskBuilder(const StepInputs& inputs,
              const Batch& batch,
              const FabricPaths& paths,
              StepGraph& graph);

  Task host() const;
  Task embedding() const;
  // All-gather of what a stage before has handed on, a share of the tokens to each rank.
  LayerTasks received();
  // Of one stage; a later stage gathers what its last layer leaves on each rank.
  LayerTasks layers(std::vector<MoeLayerWork> works, const StageLayers& stage, int micro_batch);
  // One pass of the multi-token prediction module: a layer like the model's last, and the head. Its
  // load is not the report's; its projection of two rows into one is not counted.
  LayerTasks draft(MoeLayerWork work);
  // The head's columns are split over the tensor-parallel group: every rank sees all its outputs.
  Task head() const;

 private:
  void add(Task task);
  void add_exchange(TaskKind kind, Exchange exchange);
  void add_stages(TaskKind kind, std::vector<Exchange> stages);
  // `last`: no later model layer replays this trace layer, so its vectors need no copy.
  void add_layer(std::size_t layer, MoeLayerWork* work, bool last);
  void add_attention(std::size_t layer);
  void add_moe(MoeLayerWork& replayed, bool last);
  // A kernel that works on an amount of work of each rank: cost_of(costs of the rank's kind of
  // GPU, amount). Equal amounts are costed once a kind.
  template <class Work, class Cost>
  Task of_work(TaskKind kind, const std::vector<Work>& by_rank, const Cost& cost_of) const;
  // All ranks of a DP rank's tensor-parallel group do the same.
  template <class Cost>
  Task of_groups(TaskKind kind, const Cost& cost_of) const;
  // Each rank works on the tokens dealt to it, or on all of its group where the group splits every
  // feed-forward part: cost_of(costs, tokens).
  template <class Cost>
  Task of_tokens(TaskKind kind, const Cost& cost_of) const;

  const StepInputs& inputs_;
  const Batch& batch_;
  const FabricPaths& paths_;
  TensorExchanges tensor_;
  StepGraph& graph_;
  LayerTasks tasks_;
  int layer_ = -1, micro_batch_ = 0;
  bool hands_on_ = false;  // of the layer being added: the stage's last, and not the model's
  bool counted_ = true;    // in the graph's loads
  bool split_;             // experts and other feed-forward parts, over the tensor-parallel group
  std::size_t moe_layer_ = 0;
  Task router_, shared_;
  struct Attention {  // of one shape
    AttentionShape shape;
    Task kernel;
    ContextExchanges context;
  };
  std::vector<Attention> attention_;
};

}  // namespace moesim
