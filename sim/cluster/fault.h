// Fault: what breaks or slows down while a pool runs, and what it does to a cluster. Semantics:
// docs/models.md, "Faults".
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/core/error.h"

namespace moesim {

enum class FaultKind { link_down, link_degraded, nic_lost, slow_gpu, rank_lost };
const std::vector<std::string>& fault_kind_names();  // in the order above

struct Fault {
  FaultKind kind{};
  Seconds at{};           // since the first step began
  std::string link = {};  // link_down, link_degraded: as links_named takes it
  Rank rank{};            // nic_lost, slow_gpu, rank_lost
  // link_degraded: of the bandwidth that is left, in (0, 1]; slow_gpu: how many times as long
  // kernels take, at least 1.
  double factor = 1;
  Location where = {};  // of the link or the rank, for messages
};
std::string to_text(const Fault& fault);  // "link_down nic 37", "slow_gpu rank 3 x 1.5"

// The cluster with the fault: links taken out (take_out), bandwidths lowered, a rank slowed. A NIC
// is the cables of tier nic at the GPU, all planes, or where it has none itself those its paths to
// other nodes take. A lost rank loses all its links. InputError at fault.where for an unknown link,
// and for a NIC where the fabric joins one node or has none.
Cluster with_fault(Cluster cluster, const Fault& fault);

}  // namespace moesim
