// Domains a group fills, and closed forms of what its ranks send.
#include "sim/train/group_cluster.h"

#include <algorithm>

#include "sim/plan/all_to_all.h"

namespace moesim {
namespace {

int domain_size(const ClusterSpec& spec, int ranks) {
  int size = std::min(ranks, spec.options.gpus_per_node);
  while (ranks % size != 0) --size;
  return size;
}

ExchangeTiming timing_of(const ClusterSpec& spec,
                         const char* algorithm,
                         const char* direction,
                         bool within_node) {
  TimingQuery query;
  query.algorithm = algorithm;
  query.direction = direction;
  query.within_node = within_node;
  query.accelerator = spec.accelerator;
  query.cpu_proxy = spec.cpu_proxy;
  query.calibration = spec.calibration;
  return exchange_timing(query);
}

BytesPerSecond nvlink_of(const ClusterSpec& spec) {
  return spec.options.nvlink.value > 0 ? spec.options.nvlink
                                       : load_accelerator(spec.accelerator).nvlink;
}

}  // namespace

Cluster group_cluster(const ClusterSpec& spec, int ranks) {
  ClusterSpec part = spec;
  part.link_health.clear();
  TopologyOptions& options = part.options;
  options.gpus_per_node = domain_size(spec, ranks);
  options.nodes = ranks / options.gpus_per_node;
  if (options.nodes == 1) {
    part.topology = options.scale_up == ScaleUp::mesh && ranks > 1 ? "nvlink_mesh" : "single_node";
    options.scale_up = ScaleUp::nvswitch;
    options.oversubscription = 1;
  } else if (part.topology == "nvl72" || part.topology == "single_node") {
    part.topology = "rail_optimized";
  }
  return build_cluster(part);
}

CollectiveTime strided_collective(const ClusterSpec& spec,
                                  const StridedGroup& group,
                                  Bytes bytes,
                                  const char* direction) {
  if (group.ranks <= 1) return {};
  const int in_domain =
      std::clamp(spec.options.gpus_per_node / std::max(1, group.stride), 1, group.ranks);
  const int domains = (group.ranks + in_domain - 1) / in_domain;
  const ExchangeTiming timing = timing_of(spec, "nccl_tensor_parallel", direction, domains == 1);
  const Bytes share = bytes / group.ranks;
  const auto moving = [&](const ExchangeTiming::Protocol& protocol) {
    Seconds time{};
    if (domains > 1)
      time = (domains - 1) * share / (BytesPerSecond(spec.options.nic * protocol.nic_efficiency));
    if (in_domain > 1)
      time = std::max(time, Seconds(domains * (in_domain - 1) * share /
                                    (nvlink_of(spec) * protocol.nvlink_efficiency)));
    return protocol.fixed + time;
  };
  Seconds time = moving(timing.protocol);
  if (timing.second) time = std::min(time, moving(*timing.second));
  return {time + (group.ranks - 1) * timing.per_message, timing.basis};
}

CollectiveTime send_time(const ClusterSpec& spec, int stride, Bytes bytes) {
  const bool within = stride < spec.options.gpus_per_node && spec.options.nodes == 1;
  const ExchangeTiming timing = timing_of(spec, "point_to_point", "send", within);
  const BytesPerSecond rate = within ? nvlink_of(spec) * timing.protocol.nvlink_efficiency
                                     : spec.options.nic * timing.protocol.nic_efficiency;
  return {timing.protocol.fixed + bytes / rate, timing.basis};
}

}  // namespace moesim
