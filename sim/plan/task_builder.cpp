// Kernels are costed once for ranks that do the same.
#include "sim/plan/task_builder.h"

#include <algorithm>
#include <functional>
#include <map>

namespace moesim {

TaskBuilder::TaskBuilder(const StepInputs& inputs,
                         const Batch& batch,
                         const FabricPaths& paths,
                         StepGraph& graph)
    : inputs_(inputs),
      batch_(batch),
      paths_(paths),
      tensor_(inputs, batch, paths),
      graph_(graph),
      split_(inputs.plan.parallelism.expert_tensor > 1) {}

template <class Work, class Cost>
Task TaskBuilder::of_work(TaskKind kind,
                          const std::vector<Work>& by_rank,
                          const Cost& cost_of) const {
  Task task;
  task.kind = kind;
  task.basis = Basis::exact;
  std::map<std::pair<std::size_t, Work>, KernelCost> known;
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    const std::size_t gpu = inputs_.costs.kind_of(id_of<Rank>(rank));
    const auto [found, fresh] = known.try_emplace({gpu, by_rank[rank]});
    if (fresh) found->second = std::invoke(cost_of, inputs_.costs.of_kind(gpu), by_rank[rank]);
    task.by_rank.push_back(inputs_.costs.slow_of(id_of<Rank>(rank)) * found->second.time);
    task.basis = weaker(task.basis, found->second.basis);
    task.launches = std::max(task.launches, found->second.launches);
  }
  return task;
}

template <class Cost>
Task TaskBuilder::of_groups(TaskKind kind, const Cost& cost_of) const {
  std::vector<std::size_t> groups(static_cast<std::size_t>(inputs_.plan.parallelism.ranks));
  for (std::size_t rank = 0; rank < groups.size(); ++rank)
    groups[rank] = rank / static_cast<std::size_t>(inputs_.plan.parallelism.tensor);
  return of_work(kind, groups, cost_of);
}

template <class Cost>
Task TaskBuilder::of_tokens(TaskKind kind, const Cost& cost_of) const {
  if (!split_) return of_work(kind, tensor_.tokens_of_rank(), cost_of);
  return of_groups(kind, [&](const KernelCosts& costs, std::size_t group) {
    return std::invoke(cost_of, costs, static_cast<std::int64_t>(batch_.rows[group].size()));
  });
}

Task TaskBuilder::host() const {
  Task task;
  task.kind = TaskKind::host;
  task.basis = Basis::exact;  // as the scenario says
  const auto tensor = static_cast<std::size_t>(inputs_.plan.parallelism.tensor);
  for (std::size_t rank = 0; rank < batch_.host.size() * tensor; ++rank)
    task.by_rank.push_back(batch_.host[rank / tensor]);
  return task;
}

Task TaskBuilder::embedding() const {
  return of_groups(TaskKind::embedding, [&](const KernelCosts& costs, std::size_t group) {
    return costs.embedding(static_cast<std::int64_t>(batch_.rows[group].size()));
  });
}

LayerTasks TaskBuilder::received() {
  if (tensor_.needed()) add_exchange(TaskKind::tensor_gather, tensor_.gather());
  return std::move(tasks_);
}

LayerTasks TaskBuilder::layers(std::vector<MoeLayerWork> works,
                               const StageLayers& stage,
                               int micro_batch) {
  micro_batch_ = micro_batch;
  const auto moe_before = [moe = inputs_.model.moe_layers()](std::size_t layer) {
    return static_cast<std::size_t>(std::lower_bound(moe.begin(), moe.end(), layer) - moe.begin());
  };
  moe_layer_ = moe_before(stage.first);
  const std::size_t moe_layers = moe_before(stage.last);
  for (std::size_t layer = stage.first; layer < stage.last; ++layer) {
    layer_ = static_cast<int>(layer);
    hands_on_ = layer + 1 == stage.last && !stage.heads;
    MoeLayerWork* work = nullptr;
    bool last = false;
    if (inputs_.model.layers[layer].ffn == FfnKind::moe) {
      work = &works[moe_layer_ % works.size()];
      last = moe_layer_ + works.size() >= moe_layers;
      work->load.moe_layer = moe_layer_++;
    }
    add_layer(layer, work, last);
  }
  return std::move(tasks_);
}

LayerTasks TaskBuilder::draft(MoeLayerWork work) {
  const std::size_t layer = inputs_.model.layers.size() - 1;
  counted_ = false;
  add_layer(layer, &work, true);
  add(head());
  return std::move(tasks_);
}

Task TaskBuilder::head() const {
  return of_groups(TaskKind::head, [&](const KernelCosts& costs, std::size_t group) {
    std::int64_t outputs = 0;
    for (const BatchEntry& entry : batch_.by_rank[group])
      outputs += entry.phase == Phase::prefill ? 1 : entry.new_tokens;
    return costs.head(outputs);
  });
}

void TaskBuilder::add(Task task) {
  task.layer = layer_;
  tasks_.push_back(std::move(task));
}

void TaskBuilder::add_exchange(TaskKind kind, Exchange exchange) {
  Task task;
  task.kind = kind;
  task.basis = exchange.basis;
  task.exchange = static_cast<int>(graph_.exchanges.size());
  graph_.exchanges.push_back(std::move(exchange));
  add(std::move(task));
}

void TaskBuilder::add_stages(TaskKind kind, std::vector<Exchange> stages) {
  for (Exchange& stage : stages) add_exchange(kind, std::move(stage));
}

void TaskBuilder::add_layer(std::size_t layer, MoeLayerWork* work, bool last) {
  const LayerShape& shape = inputs_.model.layers[layer];
  if (shape.attention.kind != AttentionKind::none) add_attention(layer);
  if (shape.dense_width > 0) {
    add(of_tokens(TaskKind::dense_ffn, [&](const KernelCosts& costs, std::int64_t tokens) {
      return costs.dense_ffn(layer, tokens);
    }));
  }
  if (shape.ffn == FfnKind::moe) add_moe(*work, last);
  if (!tensor_.needed()) return;
  if (!split_ && hands_on_) return;
  if (!split_) return add_exchange(TaskKind::tensor_gather, tensor_.gather());
  if (shape.ffn != FfnKind::none || shape.dense_width > 0)
    add_exchange(TaskKind::tensor_reduce, tensor_.reduce());
}

void TaskBuilder::add_attention(std::size_t layer) {
  const AttentionShape& shape = inputs_.model.layers[layer].attention;
  const auto same = [&](const Attention& known) { return known.shape == shape; };
  auto found = std::find_if(attention_.begin(), attention_.end(), same);
  if (found == attention_.end()) {
    Task kernel = of_groups(TaskKind::attention, [&](const KernelCosts& costs, std::size_t group) {
      return costs.attention(layer, batch_.by_rank[group]);
    });
    attention_.push_back(
        {shape, std::move(kernel), context_exchanges(inputs_, batch_, paths_, shape)});
    found = attention_.end() - 1;
  }
  add(found->kernel);
  add_stages(TaskKind::context_gather, found->context.gather);
  add_stages(TaskKind::context_reduce, found->context.reduce);
  if (tensor_.needed()) add_exchange(TaskKind::tensor_reduce, tensor_.reduce());
}

void TaskBuilder::add_moe(MoeLayerWork& replayed, bool last) {
  MoeLayerWork work = last ? std::move(replayed) : replayed;
  if (counted_) {
    work.load.layer = layer_;
    work.load.micro_batch = micro_batch_;
    graph_.routed_copies += work.routed_choices;
    graph_.loads.push_back(std::move(work.load));
  }
  const bool exchanges = inputs_.plan.parallelism.expert > 1;
  if (router_.by_rank.empty()) {
    router_ = of_tokens(TaskKind::router, &KernelCosts::router);
    shared_ = of_tokens(TaskKind::shared_expert, &KernelCosts::shared_expert);
  }
  add(router_);
  if (shared_expert_parameters(inputs_.model) > 0) add(shared_);
  if (exchanges) add_stages(TaskKind::dispatch, std::move(work.dispatch));
  if (!work.fetch.empty()) {
    Task fetch;
    fetch.kind = TaskKind::expert_fetch;
    fetch.by_rank = std::move(work.fetch);
    add(std::move(fetch));
  }
  Task experts;
  experts.kind = TaskKind::expert_ffn;
  experts.launches = work.launches;
  experts.by_rank = std::move(work.expert_ffn);
  experts.basis = work.basis;
  add(std::move(experts));
  if (exchanges) add_stages(TaskKind::combine, std::move(work.combine));
}

}  // namespace moesim
