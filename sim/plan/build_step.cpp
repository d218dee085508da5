// One forward step as tasks in the order every rank runs them.
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "sim/plan/moe_layers.h"
#include "sim/plan/tensor_exchanges.h"

namespace moesim {
namespace {

void check_inputs(const StepInputs& inputs, const Batch& batch) {
  const ShardingPlan& plan = inputs.plan;
  const TraceHeader& header = inputs.trace.header;
  const auto refuse = [&](const std::string& what, std::int64_t of_trace, std::int64_t of_model) {
    throw InputError("the trace of " + header.model + " has " + what + " " +
                     std::to_string(of_trace) + ", the model " + inputs.model.name + " " +
                     std::to_string(of_model) + "; they must be equal");
  };
  if (header.experts != inputs.model.experts)
    refuse("experts", header.experts, inputs.model.experts);
  if (header.top_k != inputs.model.top_k) refuse("top_k", header.top_k, inputs.model.top_k);
  if (inputs.trace.moe_layers() == 0)
    throw InputError("the trace of " + header.model + " has no MoE layer");
  if (plan.parallelism.ranks > inputs.cluster.ranks())
    throw InputError("the plan has " + std::to_string(plan.parallelism.ranks) +
                     " ranks, the cluster " + std::to_string(inputs.cluster.ranks()));
  if (plan.overlap != "none")
    throw InputError("plan.overlap: unknown overlap \"" + plan.overlap + "\"; valid: none");
  const auto groups = static_cast<std::size_t>(plan.parallelism.data());
  if (batch.rows.size() != groups || batch.by_rank.size() != groups)
    throw std::logic_error("the batch was made for another number of DP ranks than the plan's");
  if (plan.placement.size() != inputs.trace.moe_layers())
    throw std::logic_error("the plan's placement has another number of layers than the trace");
}

// Adds the tasks of a step one after another.
class StepBuilder {
 public:
  StepBuilder(const StepInputs& inputs, const Batch& batch, const FabricPaths& paths)
      : inputs_(inputs), batch_(batch), tensor_(inputs, batch, paths) {
    graph_.ranks = inputs.plan.parallelism.ranks;
    graph_.tokens = static_cast<std::int64_t>(batch.tokens());
  }

  StepGraph build(std::vector<MoeLayerWork> works) {
    add(of_groups(TaskKind::embedding, [&](const KernelCosts& costs, std::size_t group) {
      return costs.embedding(static_cast<std::int64_t>(batch_.rows[group].size()));
    }));
    router_ = of_ranks(TaskKind::router, &KernelCosts::router);
    shared_ = of_ranks(TaskKind::shared_expert, &KernelCosts::shared_expert);
    const std::size_t moe_layers = inputs_.model.moe_layers().size();
    std::size_t moe_layer = 0;
    for (std::size_t layer = 0; layer < inputs_.model.layers.size(); ++layer) {
      layer_ = static_cast<int>(layer);
      const LayerShape& shape = inputs_.model.layers[layer];
      if (shape.attention.kind != AttentionKind::none) add_attention(layer);
      if (shape.dense_width > 0) {
        add(of_ranks(TaskKind::dense_ffn, [&](const KernelCosts& costs, std::int64_t tokens) {
          return costs.dense_ffn(layer, tokens);
        }));
      }
      if (shape.ffn == FfnKind::moe) {
        add_moe(works[moe_layer % works.size()], moe_layer + works.size() >= moe_layers);
        ++moe_layer;
      }
      if (tensor_.needed()) add_exchange(TaskKind::tensor_gather, tensor_.gather());
    }
    layer_ = -1;
    add_head();
    return std::move(graph_);
  }

 private:
  void add(Task task) {
    task.layer = layer_;
    graph_.tasks.push_back(std::move(task));
  }

  void add_exchange(TaskKind kind, Exchange exchange) {
    Task task;
    task.kind = kind;
    task.basis = exchange.basis;
    task.exchange = static_cast<int>(graph_.exchanges.size());
    graph_.exchanges.push_back(std::move(exchange));
    add(std::move(task));
  }

  void add_stages(TaskKind kind, std::vector<Exchange> stages) {
    for (Exchange& stage : stages) add_exchange(kind, std::move(stage));
  }

  // A kernel that works on an amount of work of each rank: cost_of(costs of the rank's kind of
  // GPU, amount). Equal amounts are costed once a kind.
  template <class Work, class Cost>
  Task of_work(TaskKind kind, const std::vector<Work>& by_rank, const Cost& cost_of) const {
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
    }
    return task;
  }

  // All ranks of a DP rank's tensor-parallel group do the same.
  template <class Cost>
  Task of_groups(TaskKind kind, const Cost& cost_of) const {
    std::vector<std::size_t> groups(static_cast<std::size_t>(graph_.ranks));
    for (std::size_t rank = 0; rank < groups.size(); ++rank)
      groups[rank] = rank / static_cast<std::size_t>(inputs_.plan.parallelism.tensor);
    return of_work(kind, groups, cost_of);
  }

  // Each rank works on the tokens dealt to it.
  template <class Cost>
  Task of_ranks(TaskKind kind, const Cost& cost_of) const {
    return of_work(kind, tensor_.tokens_of_rank(), cost_of);
  }

  void add_attention(std::size_t layer) {
    const AttentionShape& shape = inputs_.model.layers[layer].attention;
    const auto same = [&](const auto& known) { return known.first == shape; };
    auto found = std::find_if(attention_.begin(), attention_.end(), same);
    if (found == attention_.end()) {
      attention_.emplace_back(
          shape, of_groups(TaskKind::attention, [&](const KernelCosts& costs, std::size_t group) {
            return costs.attention(layer, batch_.by_rank[group]);
          }));
      found = attention_.end() - 1;
    }
    add(found->second);
    if (tensor_.needed()) add_exchange(TaskKind::tensor_reduce, tensor_.reduce());
  }

  // `last`: no later model layer replays this trace layer, so its vectors need no copy.
  void add_moe(MoeLayerWork& replayed, bool last) {
    MoeLayerWork work = last ? std::move(replayed) : replayed;
    work.load.layer = layer_;
    graph_.routed_copies += work.routed_choices;
    graph_.loads.push_back(std::move(work.load));
    const bool exchanges = inputs_.plan.parallelism.expert > 1;
    add(router_);
    if (shared_expert_parameters(inputs_.model) > 0) add(shared_);
    if (exchanges) add_stages(TaskKind::dispatch, std::move(work.dispatch));
    Task experts;
    experts.kind = TaskKind::expert_ffn;
    experts.by_rank = std::move(work.expert_ffn);
    experts.basis = work.basis;
    add(std::move(experts));
    if (exchanges) add_stages(TaskKind::combine, std::move(work.combine));
  }

  // The head's columns are split over the tensor-parallel group: every rank sees all its outputs.
  void add_head() {
    add(of_groups(TaskKind::head, [&](const KernelCosts& costs, std::size_t group) {
      std::int64_t outputs = 0;
      for (const BatchEntry& entry : batch_.by_rank[group])
        outputs += entry.phase == Phase::prefill ? 1 : entry.new_tokens;
      return costs.head(outputs);
    }));
  }

  const StepInputs& inputs_;
  const Batch& batch_;
  TensorExchanges tensor_;
  StepGraph graph_;
  int layer_ = -1;
  Task router_, shared_;
  std::vector<std::pair<AttentionShape, Task>> attention_;  // by distinct shape
};

}  // namespace

StepGraph build_step(const StepInputs& inputs, const Batch& batch) {
  check_inputs(inputs, batch);
  std::optional<FabricPaths> own;
  const FabricPaths& paths =
      inputs.paths != nullptr ? *inputs.paths : own.emplace(inputs.cluster.fabric);
  const std::size_t layers = std::min(inputs.trace.moe_layers(), inputs.model.moe_layers().size());
  auto works = work_moe_layers(inputs, batch, paths, layers);
  return StepBuilder(inputs, batch, paths).build(std::move(works));
}

}  // namespace moesim
