// Plans of engines and what the ledger says of them, for the tests beside.
#pragma once

#include "sim/memory/memory_ledger.h"
#include "sim/memory/served_plan.h"

namespace moesim::test {

inline EngineMemory engine(ServingEngine which, double fraction = 0.9) {
  EngineMemory memory;
  memory.engine = which;
  memory.fraction = fraction;
  return memory;
}

inline ServedSizes sizes(int tensor, int data, int expert, int pipeline = 1) {
  ServedSizes result;
  result.tensor = tensor;
  result.data = data;
  result.expert = expert;
  result.pipeline = pipeline;
  return result;
}

inline double kind_of(const MemoryLedger& ledger, std::size_t rank, MemoryKind kind) {
  return ledger.ranks.at(rank).by_kind.at(static_cast<std::size_t>(kind)).value;
}

inline double weights_of(const MemoryLedger& ledger, std::size_t rank) {
  double sum = 0;
  for (const MemoryKind kind : {MemoryKind::dense_weights, MemoryKind::shared_experts,
                                MemoryKind::routed_experts, MemoryKind::redundant_experts})
    sum += kind_of(ledger, rank, kind);
  return sum;
}

inline MemoryLedger ledger_of(const MoeModel& model,
                              const ShardingPlan& plan,
                              Bytes memory = Bytes(1e13)) {
  return build_ledger(model, {{"a GPU", memory}}, plan, {}, Bytes(0));
}

}  // namespace moesim::test
