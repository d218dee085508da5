// The fields of a stored result by their names in JSON, once for writing and once for reading: `at`
// is called with each name and member.
#pragma once

#include <concepts>
#include <type_traits>

#include "sim/result/result.h"

namespace moesim::stored {

template <class T, class U>
concept Like = std::same_as<std::remove_const_t<T>, U>;  // U or const U: read into or written from

void fields(auto& at, Like<Metric> auto& metric) {
  at("value", metric.value);
  at("unit", metric.unit);
  at("low", metric.low);
  at("high", metric.high);
  at("basis", metric.basis);
}

void fields(auto& at, Like<NamedMetric> auto& named) {
  at("name", named.name);
  at("description", named.description);
  at("metric", named.metric);
}

void fields(auto& at, Like<LayerResult> auto& layer) {
  at("layer", layer.layer);
  at("moe", layer.moe);
  at("attention", layer.attention);
  at("dispatch", layer.dispatch);
  at("expert_ffn", layer.expert_ffn);
  at("combine", layer.combine);
  at("other", layer.other);
  at("balancedness", layer.balancedness);
  at("straggler", layer.straggler);
}

void fields(auto& at, Like<RankResult> auto& rank) {
  at("compute", rank.compute);
  at("exchange", rank.exchange);
  at("wait", rank.wait);
  at("hidden", rank.hidden);
  at("sent", rank.sent);
  at("received", rank.received);
  at("copies", rank.copies);
}

void fields(auto& at, Like<WaitResult> auto& wait) {
  at("layer", wait.layer);
  at("by_cause", wait.by_cause);
}

void fields(auto& at, Like<MemoryResult> auto& memory) {
  at("capacity", memory.capacity);
  at("kinds", memory.kinds);
  at("by_rank", memory.by_rank);
  at("fits", memory.fits);
  at("worst_rank", memory.worst_rank);
  at("headroom", memory.headroom);
  at("verdict", memory.verdict);
}

void fields(auto& at, Like<LinkResult> auto& link) {
  at("name", link.name);
  at("tier", link.tier);
  at("bytes", link.bytes);
  at("utilisation", link.utilisation);
  at("busy_share", link.busy_share);
}

void fields(auto& at, Like<PoolPace> auto& pace) {
  at("steps", pace.steps);
  at("step_time", pace.step_time);
  at("throughput", pace.throughput);
}

void fields(auto& at, Like<FaultResult> auto& fault) {
  at("fault", fault.fault);
  at("at", fault.at);
  at("step", fault.step);
  at("lost", fault.lost);
  at("recovery", fault.recovery);
  at("reloaded", fault.reloaded);
  at("before", fault.before);
  at("after", fault.after);
  at("remaining", fault.remaining);
  at("memory", fault.memory);
}

void fields(auto& at, Like<BottleneckResult> auto& bottleneck) {
  at("layer", bottleneck.layer);
  at("kind", bottleneck.kind);
  at("link", bottleneck.link);
  at("tier", bottleneck.tier);
  at("bytes", bottleneck.bytes);
  at("busy", bottleneck.busy);
  at("finish", bottleneck.finish);
  at("utilisation", bottleneck.utilisation);
  at("rank", bottleneck.rank);
  at("expert", bottleneck.expert);
  at("ratio", bottleneck.ratio);
  at("words", bottleneck.words);
}

void fields(auto& at, Like<LinkUse> auto& use) {
  at("name", use.name);
  at("utilisation", use.utilisation);
}

void fields(auto& at, Like<FidelityResult> auto& fidelity) {
  at("fidelity", fidelity.fidelity);
  at("exchanges", fidelity.exchanges);
  at("against", fidelity.against);
  at("sampled", fidelity.sampled);
  at("error", fidelity.error);
  at("words", fidelity.words);
}

void fields(auto& at, Like<RebalanceResult> auto& rebalance) {
  at("window", rebalance.window);
  at("steps", rebalance.steps);
  at("replicas", rebalance.replicas);
  at("moved_bytes", rebalance.moved_bytes);
  at("migration", rebalance.migration);
  at("host", rebalance.host);
  at("before", rebalance.before);
  at("after", rebalance.after);
}

void fields(auto& at, Like<WindowResult> auto& window) {
  at("step_time", window.step_time);
  at("dispatch", window.dispatch);
  at("expert_ffn", window.expert_ffn);
  at("combine", window.combine);
  at("other", window.other);
  at("balancedness", window.balancedness);
  at("ranks_per_token", window.ranks_per_token);
  at("nodes_per_token", window.nodes_per_token);
  at("tier_bytes", window.tier_bytes);
}

void fields(auto& at, Like<CheckResult> auto& check) {
  at("law", check.law);
  at("passed", check.passed);
}

void fields(auto& at, Like<PointResult> auto& point) {
  at("schema_version", point.schema_version);
  at("key", point.key);
  at("label", point.label);
  at("varied", point.varied);
  at("scenario_name", point.scenario_name);
  at("model", point.model);
  at("routed_by", point.routed_by);
  at("cluster", point.cluster);
  at("fidelity", point.fidelity);
  at("phase", point.phase);
  at("ranks", point.ranks);
  at("ranks_per_node", point.ranks_per_node);
  at("steps", point.steps);
  at("group_ranks", point.group_ranks);
  at("seed", point.seed);
  at("slo", point.slo);
  at("ran", point.ran);
  at("metrics", point.metrics);
  at("breakdown", point.breakdown);
  at("layers", point.layers);
  at("ranks_detail", point.ranks_detail);
  at("wait_causes", point.wait_causes);
  at("waits", point.waits);
  at("straggler", point.straggler);
  at("straggler_cause", point.straggler_cause);
  at("expert_load", point.expert_load);
  at("expert_load_layers", point.expert_load_layers);
  at("memory", point.memory);
  at("links", point.links);
  at("faults", point.faults);
  at("bottlenecks", point.bottlenecks);
  at("link_use", point.link_use);
  at("fidelities", point.fidelities);
  at("windows", point.windows);
  at("rebalances", point.rebalances);
  at("placement", point.placement);
  at("slot_bytes", point.slot_bytes);
  at("checks", point.checks);
  at("notes", point.notes);
  at("inputs", point.inputs);
}

}  // namespace moesim::stored
