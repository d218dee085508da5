// The part of a cluster that one group of consecutive ranks fills, and what groups of ranks far
// apart reach in it.
#pragma once

#include "sim/cluster/cluster.h"
#include "sim/core/metric.h"

namespace moesim {

// `ranks` GPUs as the cluster has them, in NVLink domains of its size, or where the ranks do not
// fill such domains of the largest size below that they do: EP groups are laid out so (a rack of
// 72 GPUs holds one of 64).
Cluster group_cluster(const ClusterSpec& spec, int ranks);

// Ranks r, r + stride, r + 2 stride ...: data-parallel groups, and those that hold the same
// experts.
struct StridedGroup {
  int ranks = 1, stride = 1;
};

struct CollectiveTime {
  Seconds time{};
  Basis basis = Basis::exact;
};

// A reduce-scatter or all-gather of every such group at once, `bytes` a rank before or after it:
// a rank's own share goes to each other domain over its NIC and inside a domain over NVLink; the
// longer of both, with the constants of "nccl_tensor_parallel". direction: "reduce_scatter" or
// "all_gather". Formulas: docs/models.md, "Training".
CollectiveTime strided_collective(const ClusterSpec& spec,
                                  const StridedGroup& group,
                                  Bytes bytes,
                                  const char* direction);

// One message of `bytes` to the rank `stride` further on.
CollectiveTime send_time(const ClusterSpec& spec, int stride, Bytes bytes);

}  // namespace moesim
