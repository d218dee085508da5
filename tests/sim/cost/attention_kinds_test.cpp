// Work of sparse, compressed, chunked and recurrent attention against closed forms; every shipped
// model through costs and ledger.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "sim/cost/attention_parts.h"
#include "sim/cost/kernel_costs.h"
#include "sim/memory/memory_ledger.h"
#include "sim/memory/rank_memory.h"

using namespace moesim;
using namespace moesim::literals;

namespace {

BatchEntry decode_entry(int context) {
  BatchEntry entry;
  entry.context = context;
  return entry;
}

BatchEntry prompt_entry(int new_tokens, int context) {
  BatchEntry entry;
  entry.phase = Phase::prefill;
  entry.new_tokens = new_tokens;
  entry.context = context;
  return entry;
}

// Works of one layer on one rank, all in bf16.
std::vector<KernelWork> works_of(const MoeModel& model,
                                 std::size_t layer,
                                 const std::vector<BatchEntry>& entries) {
  const AttentionShape& shape = model.layers.at(layer).attention;
  return attention_work(
      {shape, model.hidden, shape.heads, shape.kv_heads, WeightFormat::bf16, "bf16", 2.0}, entries);
}

KernelWork sum_of(const std::vector<KernelWork>& works, const std::string& kernel) {
  KernelWork sum{kernel, Flops(0), Bytes(0), "bf16"};
  for (const KernelWork& work : works) {
    if (work.kernel != kernel) continue;
    sum.flops += work.flops;
    sum.bytes += work.bytes;
  }
  return sum;
}

ShardingPlan one_rank_plan(const MoeModel& model) {
  ShardingPlan plan;
  plan.precision.experts = model.expert_format;
  plan.precision.dense = model.dense_format;
  Placement placement;
  for (std::int64_t expert = 0; expert < model.experts; ++expert) {
    placement.replica_of.push_back(static_cast<LogicalExpert>(expert));
    placement.rank_of.push_back(Rank{0});
  }
  plan.placement = {placement};
  return plan;
}

}  // namespace

TEST_CASE("a token sees its own chunk only") {
  AttentionShape shape;
  shape.chunked = true;
  shape.sliding_window = 5;
  for (const int context : {0, 3, 5, 12}) {
    for (const int new_tokens : {1, 2, 5, 11}) {
      double pairs = 0;
      for (int i = 0; i < new_tokens; ++i) pairs += (context + i) % 5 + 1;
      CHECK(attention_pairs(prompt_entry(new_tokens, context), shape) == pairs);
    }
  }
  AttentionShape encoder;
  encoder.encoder = true;
  CHECK(attention_pairs(prompt_entry(7, 0), encoder) == 49);
}

TEST_CASE("sparse latent attention reads what the indexer chose, the indexer reads all") {
  const MoeModel model = load_model("deepseek-v3.2");
  for (const int context : {1000, 100000}) {
    CAPTURE(context);
    const auto works = works_of(model, 5, {decode_entry(context)});
    const double all = context + 1, chosen = std::min(all, 2048.0);
    CHECK(sum_of(works, "index_scan").flops.value == 2.0 * 64 * 128 * all);
    CHECK(sum_of(works, "attention_sparse_decode").flops.value ==
          2.0 * 128 * chosen * (512 + 64 + 512));
    CHECK(sum_of(works, "attention_sparse_decode").bytes.value ==
          chosen * 576 * 2 + 2.0 * (128 * (576 + 512) + 576));
  }
  // Products: as many FLOPs as weights x 2, but for the two that are absorbed head by head.
  const AttentionParameters weights = attention_parameters(model.layers[5].attention, 7168);
  const double norms = 1536 + 512 + 2 * 128;
  CHECK(sum_of(works_of(model, 5, {decode_entry(0)}), "dense_gemm").flops.value ==
        2 * (static_cast<double>(weights.split + weights.replicated + weights.vectors) - norms));
}

TEST_CASE("compressed attention reads a window and entries, chosen at ratio 4, all at 128") {
  const MoeModel model = load_model("deepseek-v4-flash");
  const int context = 65535;
  const double all = context + 1;
  const auto pairs = [&](std::size_t layer) {
    return sum_of(works_of(model, layer, {decode_entry(context)}), "attention_sparse_decode")
               .flops.value /
           (2.0 * 64 * (512 + 512));
  };
  CHECK(pairs(0) == 128);
  CHECK(pairs(2) == 128 + 512);
  CHECK(pairs(3) == 128 + all / 128);
  CHECK(sum_of(works_of(model, 2, {decode_entry(context)}), "index_scan").flops.value ==
        2.0 * 64 * 128 * all / 4);
  CHECK(sum_of(works_of(model, 3, {decode_entry(context)}), "index_scan").flops.value == 0);
  // Products: twice the weights, without norms, biases by position and sinks.
  const AttentionParameters weights = attention_parameters(model.layers[2].attention, 4096);
  const double vectors = 1024 + 512 + 64 + 4 * 2 * (512 + 128) + 512 + 128;
  CHECK(sum_of(works_of(model, 2, {decode_entry(0)}), "dense_gemm").flops.value ==
        2 * (static_cast<double>(weights.split + weights.replicated + weights.vectors) - vectors));
}

TEST_CASE("a recurrent layer's decode costs the same after any context") {
  for (const char* name : {"qwen3-next-80b-a3b", "nemotron-3-nano-30b-a3b"}) {
    CAPTURE(name);
    const MoeModel model = load_model(name);
    const auto early = works_of(model, 0, {decode_entry(0)});
    const auto late = works_of(model, 0, {decode_entry(100000)});
    REQUIRE(early.size() == late.size());
    for (std::size_t i = 0; i < early.size(); ++i) {
      CHECK(early[i].flops.value == late[i].flops.value);
      CHECK(early[i].bytes.value == late[i].bytes.value);
    }
  }
}

TEST_CASE("a state is read and written once a decode token and once a chunk of prefill") {
  const MoeModel model = load_model("qwen3-next-80b-a3b");
  const double state = 32 * 128 * 128 * 4.0, io = 2.0 * (2 * 16 * 128 + 2 * 32 * 128);
  const auto scan = [&](const BatchEntry& entry) {
    return sum_of(works_of(model, 0, {entry}), "state_scan");
  };
  CHECK(scan(decode_entry(9)).bytes.value == 2 * state + io);
  CHECK(scan(decode_entry(9)).flops.value == 32 * 7.0 * 128 * 128);
  CHECK(scan(prompt_entry(65, 0)).bytes.value == 2 * 2 * state + 65 * io);  // chunks of 64
  CHECK(scan(prompt_entry(65, 0)).flops.value ==
        32 * (65 * 7.0 * 128 * 128 + 65.0 * 64 * 2 * 2 * (128 + 128)));
}

TEST_CASE("block-sparse attention stops growing at its chosen tokens") {
  const MoeModel model = load_model("minimax-m3");
  const auto core = [&](int context) {
    return sum_of(works_of(model, 3, {decode_entry(context)}), "attention_sparse_decode")
        .flops.value;
  };
  CHECK(core(999) == 2.0 * 64 * 1000 * (128 + 128));
  CHECK(core(99999) == 2.0 * 64 * 2048 * (128 + 128));
}

TEST_CASE("every shipped model has finite, positive costs of every layer") {
  const Accelerator gpu = load_accelerator("h200-sxm");
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const MoeModel model = load_model(name);
    Precision precision;
    precision.experts = model.expert_format;
    precision.dense = model.dense_format;
    const KernelCosts costs(model, gpu, {}, precision);
    const auto sound = [](const KernelCost& cost) {
      return std::isfinite(cost.time.count()) && cost.time.count() > 0 && cost.bytes.value > 0;
    };
    for (std::size_t i = 0; i < model.layers.size(); ++i) {
      const LayerShape& layer = model.layers[i];
      const std::vector<BatchEntry> entries{decode_entry(5000), prompt_entry(300, 70)};
      CHECK(sound(costs.attention(i, entries)) == (layer.attention.kind != AttentionKind::none));
      CHECK(sound(costs.dense_ffn(i, 301)) == (layer.dense_width > 0));
    }
    CHECK(sound(costs.router(301)));
    CHECK(sound(costs.head(2)));
    CHECK(sound(costs.expert_ffn(std::vector<std::uint32_t>{3, 0, 90})));
    CHECK(sound(costs.shared_expert(301)) == (shared_expert_parameters(model) > 0));
  }
}

TEST_CASE("every shipped model's ledger holds its weights, its cache and its states") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const MoeModel model = load_model(name);
    const ShardingPlan plan = one_rank_plan(model);
    Batch batch;
    batch.by_rank = {{decode_entry(999), decode_entry(1999)}};
    const MemoryLedger ledger = build_ledger(model, {{"a GPU", 9999_GiB}}, plan, {batch}, 0_B);
    CHECK(ledger.fits);
    CHECK(ledger.headroom.value > 0);
    const auto kind = [&](MemoryKind of) {
      return ledger.ranks[0].by_kind[static_cast<std::size_t>(of)].value;
    };
    const double weights = kind(MemoryKind::dense_weights) + kind(MemoryKind::shared_experts) +
                           kind(MemoryKind::routed_experts);
    if (model.expert_format == WeightFormat::bf16) {
      double uncounted = 0;
      for (const LayerShape& layer : model.layers) {
        uncounted +=
            static_cast<double>(attention_parameters(layer.attention, model.hidden).uncounted);
      }
      CHECK(weights == 2 * (static_cast<double>(count_parameters(model).total) + uncounted));
    }
    double largest = 2 * state_bytes_per_request(model, 1, 2).value +
                     3000 * kv_bytes_per_token(model, 1, 2).value;
    CHECK(kind(MemoryKind::kv_cache) > 0);
    CHECK(kind(MemoryKind::kv_cache) <= largest);
  }
}
