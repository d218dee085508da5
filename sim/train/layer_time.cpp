// Kernels of each part forward, and what their backward takes.
#include "sim/train/layer_time.h"

#include <algorithm>

#include "sim/cost/expert_work.h"
#include "sim/cost/held_sms.h"
#include "sim/cost/part_work.h"
#include "sim/cost/quantised_product.h"
#include "sim/plan/collective.h"
#include "sim/plan/fabric_paths.h"
#include "sim/train/group_cluster.h"
#include "sim/train/rank_parameters.h"
#include "sim/train/training_format.h"

namespace moesim {
namespace {

bool is_attention(const KernelWork& work) { return work.kernel.starts_with("attention_"); }

KernelWork scaled(KernelWork work, double factor) {
  work.flops = factor * work.flops;
  work.bytes = factor * work.bytes;
  work.point = {};
  return work;
}

void append(std::vector<KernelWork>& works, std::vector<KernelWork> more) {
  works.insert(works.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

// One collective of each tensor-parallel group, bf16 rows of all its tokens.
Seconds tensor_time(const MoeModel& model,
                    const ClusterSpec& spec,
                    const TrainingPlan& plan,
                    const char* name,
                    Basis& basis) {
  if (plan.tensor == 1) return {};
  const Cluster cluster = group_cluster(spec, plan.tensor);
  const CollectiveShape shape = even_shares(
      plan.tensor, plan.tensor, cluster.fabric.ranks_per_node,
      Bytes(static_cast<double>(plan.tokens()) * row_bytes(model.hidden, PayloadFormat::bf16)));
  const Exchange exchange = make_collective(cluster, FabricPaths(cluster.fabric), name, shape);
  basis = weaker(basis, exchange.basis);
  return exchange_time(exchange);
}

}  // namespace

LayerPasses time_of_works(const std::vector<KernelWork>& works,
                          const KernelTimer& timer,
                          const TrainingConstants& constants,
                          Recompute recompute) {
  LayerPasses sum;
  const auto time_of = [&](const KernelWork& work) {
    return timer.time(work).time / constants.sustained_share;
  };
  for (const KernelWork& work : works) {
    const Seconds once = time_of(work);
    const bool product = work.tiles.exist(), pass = work.kernel == "elementwise";
    sum.forward.compute += once;
    if (product) {
      sum.backward_input.compute += once;
      sum.backward_weight.compute += once;
    } else if (is_attention(work)) {
      sum.backward_input.compute += time_of(scaled(work, constants.attention_backward));
    } else if (pass) {
      sum.backward_input.compute += time_of(scaled(work, constants.pass_backward));
    } else if (work.kernel == "state_scan") {
      sum.backward_input.compute += 2 * once;
    } else {
      sum.backward_input.compute += once;
    }
    if (recompute == Recompute::full || (recompute == Recompute::selective && pass))
      sum.backward_input.compute += once;
  }
  return sum;
}

LayerTimes::LayerTimes(const MoeModel& model, const ClusterSpec& cluster, const TrainingPlan& plan)
    : model_(model),
      plan_(plan),
      accelerator_(load_accelerator(cluster.accelerator)),
      timer_(accelerator_),
      constants_(load_training_constants()),
      routing_(route_micro_batch(model, cluster, plan)) {
  basis_ = weaker(constants_.basis, routing_.basis);
  tensor_gather_ = tensor_time(model, cluster, plan, "all_gather", basis_);
  tensor_reduce_ = tensor_time(model, cluster, plan, "reduce_scatter", basis_);
}

double LayerTimes::interference() const {
  return 1 / (1 - speed_taken(routing_.sms, timer_.sms(), KernelMix::compute));
}

LayerPasses LayerTimes::timed(const std::vector<KernelWork>& works) const {
  return time_of_works(works, timer_, constants_, plan_.recompute);
}

std::vector<KernelWork> LayerTimes::works_of(const LayerShape& shape) const {
  const PartFormat format = training_format(plan_.precision);
  const std::int64_t tokens = plan_.rank_tokens();
  std::vector<KernelWork> works;
  if (shape.attention.kind != AttentionKind::none) {
    const AttentionShape local = tensor_share(shape.attention, plan_.tensor);
    const std::vector<BatchEntry> entries(static_cast<std::size_t>(plan_.micro_batch),
                                          {0, Phase::prefill, plan_.sequence, 0});
    append(works, attention_work({shape.attention, model_.hidden, local.heads, local.kv_heads,
                                  format.format, format.precision},
                                 entries));
  }
  append(works, dense_ffn_work(model_, shape, tokens, format));
  if (shape.ffn != FfnKind::moe) return works;
  append(works, router_work(model_, tokens));
  append(works, shared_expert_work(model_, tokens, format));
  const ExpertShape expert{model_.expert_hidden(), model_.expert_width, model_.gated,
                           format.format,          format.precision,    ExpertLayout::contiguous};
  append(works, expert_work(routing_.rows, expert));
  return works;
}

// Every micro-batch's gradients are added to those in memory.
Seconds LayerTimes::accumulation(const RankParameters& parameters) const {
  const Bytes moved(2 * kGradientBytes * parameters.all());
  return timer_.time({"elementwise", Flops(0), moved, "bf16"}).time;
}

LayerPasses LayerTimes::make_layer(const LayerShape& shape) const {
  LayerPasses time = timed(works_of(shape));
  if (plan_.recompute == Recompute::selective && shape.attention.kind == AttentionKind::latent) {
    const AttentionShape local = tensor_share(shape.attention, plan_.tensor);
    const PartFormat format = training_format(plan_.precision);
    const std::int64_t key_value = shape.attention.qk_nope_head_dim + shape.attention.v_head_dim,
                       query = shape.attention.qk_nope_head_dim + shape.attention.qk_rope_head_dim;
    std::vector<KernelWork> again;
    add_product(
        plan_.tokens(),
        {shape.attention.kv_lora_rank, local.heads * key_value, format.format, format.precision},
        again);
    if (shape.attention.q_lora_rank != 0)
      add_product(
          plan_.tokens(),
          {shape.attention.q_lora_rank, local.heads * query, format.format, format.precision},
          again);
    time.backward_input.compute += timer_.sum(again).time / constants_.sustained_share;
  }
  time.backward_weight.compute += accumulation(layer_parameters(model_, plan_, shape));
  const bool again = plan_.recompute == Recompute::full;
  if (shape.ffn == FfnKind::moe) {
    const Seconds once = routing_.dispatch + routing_.combine;
    time.forward.exchange += once;
    time.backward_input.exchange += again ? 2 * once : once;
  }
  if (shape.attention.kind != AttentionKind::none) {
    const Seconds once = tensor_gather_ + tensor_reduce_;
    time.forward.tensor += once;
    // The inputs of all ranks are gathered once more for the weights' gradients.
    time.backward_input.tensor += (again ? 2 * once : once) + tensor_gather_;
  }
  if (!plan_.captured) {  // what the host has not launched yet cannot run
    const auto wait = [](PassTime& pass, Seconds host) {
      pass.compute += std::max(Seconds(0), host - pass.total());
    };
    wait(time.forward, constants_.host_layer);
    PassTime whole = time.backward();
    const Seconds before = whole.compute;
    wait(whole, 2 * constants_.host_layer);
    time.backward_input.compute += whole.compute - before;
  }
  return time;
}

LayerPasses LayerTimes::layer(const LayerShape& shape) const {
  const auto same = [&](const auto& known) {
    return known.first.attention == shape.attention && known.first.ffn == shape.ffn &&
           known.first.dense_width == shape.dense_width;
  };
  const auto found = std::find_if(known_.begin(), known_.end(), same);
  if (found != known_.end()) return found->second;
  known_.emplace_back(shape, make_layer(shape));
  return known_.back().second;
}

LayerPasses LayerTimes::embedding() const {
  return timed({elementwise_work(plan_.rank_tokens(), 2 * model_.hidden)});
}

LayerPasses LayerTimes::head() const {
  const std::int64_t columns = (model_.vocabulary + plan_.tensor - 1) / plan_.tensor;
  LayerPasses time = timed(head_work(model_, plan_.tokens(), columns));
  time.forward.tensor += tensor_gather_;
  time.backward_input.tensor += tensor_reduce_;
  time.backward_weight.compute += accumulation(embedding_parameters(model_, plan_));  // as large
  return time;
}

LayerPasses LayerTimes::mtp() const {
  LayerPasses time = layer(model_.mtp_layers.back());
  const PartFormat format = training_format(plan_.precision);
  std::vector<KernelWork> join{elementwise_work(plan_.rank_tokens(), 4 * model_.hidden)};
  add_product(plan_.rank_tokens(),
              {2 * model_.hidden, model_.hidden, format.format, format.precision}, join);
  time += timed(join);
  time += head();
  return time;
}

}  // namespace moesim
