// A study made by hand for the tests of analysis: two plans or more whose figures follow from a few
// numbers written here.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "sim/result/result.h"

namespace moesim {

struct SampleShape {
  int ranks = 16, experts = 32, layers = 8, plans = 2;
};

inline constexpr double kSampleGiB = 1073741824.0;

// Load of expert e in layer l: 1000 / (1 + place), place = (e + 5 l) mod experts: every layer has
// the same loads on other experts.
inline std::vector<std::vector<std::uint64_t>> sample_load(const SampleShape& shape) {
  std::vector<std::vector<std::uint64_t>> load;
  for (int l = 0; l < shape.layers; ++l) {
    load.emplace_back();
    for (int e = 0; e < shape.experts; ++e)
      load.back().push_back(static_cast<std::uint64_t>(1000 / (1 + (e + 5 * l) % shape.experts)));
  }
  return load;
}

// Plan number `plan` spends (1 + plan) x 400 us on expert FFN and 600 + 300 + 200 us on the rest:
// plan 0 takes 1.5 ms, plan 1 1.9 ms. Its step-time band is 20 % either way.
inline PointResult sample_point(const SampleShape& shape, int plan) {
  PointResult point;
  point.key = "key" + std::to_string(plan);
  point.label = plan == 0 ? "eplb" : plan == 1 ? "contiguous" : "plan " + std::to_string(plan);
  point.varied = {{"plan.placement", point.label}};
  point.scenario_name = "Which placement?";
  point.model = "gpt-oss-20b";
  point.routed_by = "reference";
  point.cluster = "2 x 8 H100";
  point.fidelity = "bound";
  point.phase = "decode";
  point.ranks = shape.ranks;
  point.steps = 4;
  point.seed = 18446744073709551615ULL;
  const double expert_ffn = (1 + plan) * 400e-6;
  point.breakdown = {
      {"attention", 600e-6}, {"dispatch", 200e-6}, {"expert_ffn", expert_ffn}, {"combine", 300e-6}};
  const double step = 1100e-6 + expert_ffn;
  const Metric time{step, "s", 0.8 * step, 1.2 * step, Basis::calibrated};
  point.metrics = {
      {"step_time", "time of one step", time},
      {"dispatch", "", metric_of(200e-6, "s", Basis::datasheet)},
      {"combine", "", metric_of(300e-6, "s", Basis::datasheet)},
      {"compute", "", metric_of(step - 500e-6, "s", Basis::calibrated)},
      {"balancedness", "", metric_of(1.0 / (1 + plan), "1", Basis::exact)},
      {"tokens_per_second_per_gpu", "", metric_of(128 / step, "1/s", Basis::calibrated)}};
  for (int l = 0; l < shape.layers; ++l) {
    LayerResult layer;
    layer.layer = l;
    layer.moe = true;
    layer.balancedness = 1.0 / (1 + plan) - 0.02 * (l % 3);
    point.layers.push_back(layer);
  }
  for (int r = 0; r < shape.ranks; ++r) {
    RankResult rank;
    rank.compute = 0.4 * step;
    rank.exchange = 0.3 * step;
    rank.wait = 0.3 * step;
    rank.copies = static_cast<std::uint64_t>(512 + 64 * plan * (r % 4));
    point.ranks_detail.push_back(rank);
  }
  point.straggler = 5;
  point.straggler_cause = "expert FFN: expert 17 of layer 5 draws 4.1x the mean";
  point.expert_load = sample_load(shape);
  for (int l = 0; l < shape.layers; ++l) point.expert_load_layers.push_back(l);
  point.memory.capacity = 80 * kSampleGiB;
  point.memory.kinds = {"expert weights", "kv_cache", "runtime"};
  for (int r = 0; r < shape.ranks; ++r)
    point.memory.by_rank.push_back(
        {30 * kSampleGiB, (10 + 0.5 * (r % 8)) * kSampleGiB, 4 * kSampleGiB});
  point.memory.worst_rank = 7;
  point.memory.headroom = (80 - 30 - 13.5 - 4) * kSampleGiB;
  for (int i = 0; i < 12; ++i) {
    LinkResult link;
    link.name = "node " + std::to_string(i / 6) + " NIC " + std::to_string(i % 6);
    link.tier = "scale-out";
    link.utilisation = 0.3 / (1 + i) * (1 + 0.5 * plan);
    link.busy_share = 2 * link.utilisation;
    link.bytes = link.utilisation * 50e9 * step;
    point.links.push_back(link);
  }
  point.checks = {{"every byte sent is received", true}, {"no exchange beats its port", true}};
  point.notes = {"Routed by the reference model, </script> costed as gpt-oss-20b."};
  point.inputs = {{"trace", "ab12"}, {"version", "0.1.0"}};
  return point;
}

inline StudyResult sample_study(const SampleShape& shape = {}) {
  StudyResult study;
  study.name = "Which placement is <best> on 2 nodes?";
  study.file = "scenarios/sample.json";
  for (int plan = 0; plan < shape.plans; ++plan) study.points.push_back(sample_point(shape, plan));
  return study;
}

// A third plan that does not fit: only its memory and notes are filled.
inline PointResult sample_point_out_of_memory() {
  PointResult whole = sample_point({}, 2);
  PointResult point;
  point.label = "eplb, 64 redundant";
  point.key = "key9";
  point.ran = false;
  point.memory = whole.memory;
  point.memory.fits = false;
  point.memory.headroom = -4 * kSampleGiB;
  point.memory.verdict = "rank 7 lacks 4 GiB for the KV cache";
  return point;
}

}  // namespace moesim
