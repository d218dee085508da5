// Reads faults, each kind with its own keys.
#include "sim/scenario/load_faults.h"

#include "sim/plan/pool_faults.h"
#include "sim/scenario/check_sizes.h"

namespace moesim {
namespace {

Seconds read_time(const JsonNode& fault) {
  const auto at = fault.find("at");
  if (!at || at->is("start")) return Seconds(0);
  if (!at->is_string()) at->fail(R"(wants "start" or a time, as in "20 ms")");
  const Seconds time = at->as_seconds();
  if (time < Seconds(0)) at->fail("must not be negative: the first step begins at 0 s");
  return time;
}

void read_link(const JsonNode& node, Fault& fault) {
  const JsonNode link = node.at("link");
  fault.link = link.as_string();
  fault.where = link.where();
}

void read_rank(const JsonNode& node, int ranks, Fault& fault) {
  const JsonNode rank = node.at("rank");
  fault.rank = Rank{static_cast<std::int32_t>(rank.as_int(0, ranks - 1, {0, kMostRanks - 1}))};
  fault.where = rank.where();
}

Fault read_fault(const JsonNode& node, int ranks) {
  if (!node.is_object())
    node.fail(R"(a fault is an object, as in {"kind": "nic_lost", "rank": 3, "at": "20 ms"})");
  const std::string kind = node.at("kind").as_choice(fault_kind_names(), "kind of fault");
  std::vector<std::string> keys{"kind", "at"};
  Fault fault;
  for (std::size_t i = 0; i < fault_kind_names().size(); ++i)
    if (fault_kind_names()[i] == kind) fault.kind = static_cast<FaultKind>(i);
  const bool on_link = fault.kind == FaultKind::link_down || fault.kind == FaultKind::link_degraded;
  const bool has_factor =
      fault.kind == FaultKind::link_degraded || fault.kind == FaultKind::slow_gpu;
  keys.emplace_back(on_link ? "link" : "rank");
  if (has_factor) keys.emplace_back("factor");
  node.allow_only(keys);
  fault.at = read_time(node);
  if (on_link)
    read_link(node, fault);
  else
    read_rank(node, ranks, fault);
  if (!has_factor) return fault;
  const JsonNode factor = node.at("factor");
  fault.factor = on_link ? factor.as_ratio(0, 1) : factor.as_ratio(1, 1000);
  if (fault.factor <= 0)
    factor.fail("must be above 0: a link that carries nothing is kind \"link_down\"");
  return fault;
}

}  // namespace

std::vector<Fault> read_faults(const JsonNode& node, int ranks) {
  if (!node.is_array())
    node.fail(R"(wants a list, as in [{"kind": "nic_lost", "rank": 3, "at": "20 ms"}])");
  std::vector<Fault> faults;
  for (const JsonNode& item : node.items()) faults.push_back(read_fault(item, ranks));
  return in_order(std::move(faults));
}

void check_faults(const Scenario& scenario) {
  if (scenario.faults.empty()) return;
  const MoeModel model = load_model(scenario.model);
  Pool pool{build_cluster(scenario.cluster), scenario.plan};
  for (const Fault& fault : scenario.faults) pool = apply_fault(pool, fault, model).pool;
}

}  // namespace moesim
