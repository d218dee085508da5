// Each cell is made as if the pool had no pipeline and the other stages nothing to do; then they
// are taken out of its exchanges and kernels.
#include "sim/plan/pipeline_step.h"

#include <algorithm>

#include "sim/plan/link_loads.h"
#include "sim/plan/micro_batches.h"
#include "sim/plan/step_cell.h"
#include "sim/plan/weakest_timing.h"

namespace moesim {
namespace {

std::vector<Batch> micro_batches_of(const Batch& batch, int stages) {
  const bool whole = batch.drafts > 0;  // the tokens of a request are checked together
  std::vector<Batch> parts = cut_batch(batch, stages, whole ? 1 + batch.drafts : 1);
  for (Batch& part : parts) {
    part.host = batch.host;
    part.drafts = batch.drafts;
    part.kept = batch.kept;
  }
  return parts;
}

// The micro-batch on the DP ranks of one stage; nothing on those of the others.
Batch on_stage(Batch part, int stage, int stages) {
  const std::size_t groups = part.rows.size();
  const auto before = static_cast<std::ptrdiff_t>(groups * static_cast<std::size_t>(stage));
  const auto place = [&](auto& by_group) {
    by_group.insert(by_group.begin(), static_cast<std::size_t>(before), {});
    by_group.resize(groups * static_cast<std::size_t>(stages));
  };
  place(part.rows);
  place(part.by_rank);
  if (!part.host.empty()) place(part.host);
  return part;
}

struct Marks {  // where a cell begins
  std::size_t task = 0, exchange = 0, load = 0;
};

// Other ranks do nothing from `from` on.
void keep_to(const RankRange& stage, const Marks& from, StepGraph& graph) {
  for (std::size_t i = from.task; i < graph.tasks.size(); ++i) {
    std::vector<Seconds>& by_rank = graph.tasks[i].by_rank;
    if (by_rank.empty()) continue;
    std::fill_n(by_rank.begin(), stage.first, Seconds(0));
    std::fill(by_rank.begin() + stage.last, by_rank.end(), Seconds(0));
  }
  for (std::size_t i = from.exchange; i < graph.exchanges.size(); ++i)
    graph.exchanges[i].among = stage;
  for (std::size_t i = from.load; i < graph.loads.size(); ++i) graph.loads[i].held_by = stage;
}

class Pipeline {
 public:
  Pipeline(const StepInputs& inputs, const Batch& batch, const FabricPaths& paths, StepGraph& graph)
      : inputs_(inputs),
        ranks_(inputs.plan.parallelism),
        flat_(inputs.plan),
        parts_(micro_batches_of(batch, ranks_.pipeline)),
        paths_(paths),
        graph_(graph) {
    flat_.parallelism.pipeline = 1;
    graph_.stage_ranks = ranks_.stage_ranks();
  }

  void add_round(int round) {
    std::vector<std::uint32_t> last;
    std::vector<std::uint32_t> rows(static_cast<std::size_t>(ranks_.ranks));
    for (int stage = 0; stage < ranks_.pipeline; ++stage) {
      const int micro_batch = (round - stage + ranks_.pipeline) % ranks_.pipeline;
      const std::vector<std::uint32_t> ends = add_stage(stage, micro_batch);
      last.insert(last.end(), ends.begin(), ends.end());
      count_rows(stage, parts_[static_cast<std::size_t>(micro_batch)], rows);
    }
    Task send;
    send.kind = TaskKind::stage_send;
    send.exchange = static_cast<int>(graph_.exchanges.size());
    graph_.exchanges.push_back(hand_on(rows));
    send.basis = graph_.exchanges.back().basis;
    if (graph_.overlaps()) send.after = std::move(last);
    graph_.tasks.push_back(std::move(send));
  }

 private:
  std::vector<std::uint32_t> add_stage(int stage, int micro_batch) {
    const Marks begin{graph_.tasks.size(), graph_.exchanges.size(), graph_.loads.size()};
    StepInputs cell{inputs_.model, inputs_.cluster, flat_, inputs_.trace, inputs_.costs};
    cell.keep_flows = inputs_.keep_flows;
    cell.threads = inputs_.threads;
    cell.keep_shares = inputs_.keep_shares;
    cell.flows_every = inputs_.flows_every;
    cell.count_reach = inputs_.count_reach;
    cell.expert_bytes = inputs_.expert_bytes;
    const Batch batch =
        on_stage(parts_[static_cast<std::size_t>(micro_batch)], stage, ranks_.pipeline);
    std::vector<std::uint32_t> ends = add_cell(
        cell, batch, paths_, {stage_layers(inputs_.model, ranks_, stage), micro_batch}, graph_);
    keep_to(stage_range(ranks_, stage), begin, graph_);
    return ends;
  }

  // By rank: its share of the tokens that its stage hands on.
  void count_rows(int stage, const Batch& part, std::vector<std::uint32_t>& rows) const {
    if (stage + 1 == ranks_.pipeline) return;
    const auto tensor = static_cast<std::size_t>(ranks_.tensor);
    std::size_t rank = static_cast<std::size_t>(stage_range(ranks_, stage).first);
    for (const auto& of_group : part.rows)
      for (std::size_t member = 0; member < tensor; ++member)
        rows[rank++] = static_cast<std::uint32_t>((of_group.size() + tensor - 1 - member) / tensor);
  }

  Exchange hand_on(const std::vector<std::uint32_t>& rows) const {
    const auto next = static_cast<std::size_t>(ranks_.stage_ranks());
    RowCounts counts;
    std::vector<std::uint32_t> row(rows.size());
    for (std::size_t source = 0; source < rows.size(); ++source) {
      if (source + next < rows.size()) row[source + next] = rows[source];
      counts.add_source(row);
    }
    const double bytes = row_bytes(inputs_.model.hidden, PayloadFormat::bf16) *
                         static_cast<double>(inputs_.model.residual_streams);
    ExchangeInputs exchange;
    exchange.algorithm = "nccl_point_to_point";
    exchange.traffic.legs = {{std::make_shared<RowCounts>(std::move(counts)), bytes}};
    exchange.peers = ranks_.ranks - 1;
    exchange.traffic.messages_per_peer = 1.0 / exchange.peers;
    const bool within_node = inputs_.cluster.fabric.node_of(Rank{0}) ==
                             inputs_.cluster.fabric.node_of(Rank{ranks_.ranks - 1});
    exchange.timing =
        weakest_timing({"point_to_point", "send", within_node}, inputs_.cluster, ranks_.ranks);
    exchange.keep_flows = inputs_.keep_flows;
    exchange.keep_shares = inputs_.keep_shares;
    return make_exchange(paths_, ranks_.ranks, exchange);
  }

  const StepInputs& inputs_;
  const Parallelism& ranks_;
  ShardingPlan flat_;  // each stage's, without the others
  std::vector<Batch> parts_;
  const FabricPaths& paths_;
  StepGraph& graph_;
};

}  // namespace

void add_pipeline(const StepInputs& inputs,
                  const Batch& batch,
                  const FabricPaths& paths,
                  StepGraph& graph) {
  Pipeline pipeline(inputs, batch, paths, graph);
  for (int round = 0; round < inputs.plan.parallelism.pipeline; ++round) pipeline.add_round(round);
}

}  // namespace moesim
