// A memory estimate as JSON.
#include <nlohmann/json.hpp>

#include "analysis/memory/memory_text.h"

namespace moesim {
namespace {

using Json = nlohmann::ordered_json;

Json plan_json(const ShardingPlan& plan) {
  const Parallelism& ranks = plan.parallelism;
  const Precision& precision = plan.precision;
  return {{"ranks", ranks.ranks},
          {"expert_parallel", ranks.expert},
          {"tensor_parallel", ranks.tensor},
          {"data_parallel", ranks.data()},
          {"pipeline_parallel", ranks.pipeline},
          {"context_parallel", ranks.context},
          {"ranks_per_expert", ranks.expert_tensor},
          {"redundant_experts", plan.redundant_experts},
          {"experts", to_text(precision.experts)},
          {"dense", to_text(precision.dense)},
          {"attention", to_text(precision.attention.value_or(precision.dense))},
          {"kv_cache", to_text(precision.kv_cache)},
          {"engine", engine_names()[static_cast<std::size_t>(plan.memory.engine)]},
          {"memory_fraction", plan.memory.fraction},
          {"page_tokens", plan.memory.page_tokens}};
}

Json rank_json(const MemoryLedger& ledger) {
  const RankMemory& rank = ledger.ranks[static_cast<std::size_t>(ledger.worst_rank)];
  Json kinds = Json::object();
  for (int kind = 0; kind < kMemoryKinds; ++kind)
    kinds[to_text(static_cast<MemoryKind>(kind))] =
        rank.by_kind[static_cast<std::size_t>(kind)].value;
  return {{"rank", ledger.worst_rank},
          {"capacity", ledger.capacity.value},
          {"kinds", std::move(kinds)},
          {"headroom", ledger.headroom.value},
          {"fits", ledger.fits}};
}

}  // namespace

std::string memory_json(const MemoryReport& report) {
  const MemoryEstimate& estimate = report.estimate;
  Json changes = Json::array();
  for (const MemoryChange& change : estimate.changes)
    changes.push_back({{"change", change.what},
                       {"kv_cache_room", change.room.value},
                       {"freed", change.freed.value},
                       {"kv_tokens", change.tokens},
                       {"fits", change.fits}});
  const Json json{{"model", report.model.name},
                  {"accelerator", report.accelerator.name},
                  {"plan", plan_json(report.plan)},
                  {"fullest_rank", rank_json(estimate.ledger)},
                  {"kv_cache_room", estimate.admitted.room.value},
                  {"kv_tokens", estimate.admitted.tokens},
                  {"context", report.load.context},
                  {"kv_bytes_per_request", estimate.admitted.per_request.value},
                  {"requests_admitted", estimate.admitted.requests},
                  {"requests", estimate.requests},
                  {"longest_context_of_one", estimate.longest_of_one},
                  {"longest_context_of_requests", estimate.longest_of_requests},
                  {"most_redundant_experts", estimate.most_redundant},
                  {"host",
                   {{"experts_of_layer", estimate.host.of_layer},
                    {"bytes", estimate.host.bytes.value},
                    {"misses_of_layer", estimate.host.misses},
                    {"seconds_over_pcie", estimate.host.transfers.count()}}},
                  {"verdict", estimate.ledger.verdict},
                  {"changes", std::move(changes)}};
  return json.dump(2) + "\n";
}

}  // namespace moesim
