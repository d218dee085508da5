// After any fault, on every topology of the catalog at 8 and 64 ranks: paths lead through links
// that are there, exchanges deliver all bytes and are no faster than their ports, or the two ranks
// named are apart in the graph itself.
#include <doctest/doctest.h>

#include <memory>
#include <set>

#include "sim/cluster/detours.h"
#include "sim/cluster/fault.h"
#include "sim/core/random.h"
#include "sim/plan/link_loads.h"
#include "sim/plan/pool_faults.h"
#include "sim/replay/replay.h"
#include "tests/topologies/every_topology.h"

namespace moesim {
namespace {

using namespace literals;

Pool pool_of(const Fabric& fabric) {
  Pool pool;
  pool.cluster.fabric = fabric;
  pool.plan.parallelism = {fabric.ranks, fabric.ranks, 1};
  return pool;
}

// One cable of every tier, a NIC, two links of one GPU, and a lost rank.
std::vector<Fault> faults_of(const Fabric& fabric) {
  std::vector<Fault> faults;
  std::set<LinkTier> tiers;
  for (std::size_t link = 0; link < fabric.links.size(); link += 2) {
    if (!tiers.insert(fabric.links[link].tier).second) continue;
    const std::string& name = fabric.links[link].name;
    faults.push_back({FaultKind::link_down, {}, name.substr(0, name.rfind(' '))});
    faults.push_back({FaultKind::link_down, {}, name});
    faults.push_back({FaultKind::link_degraded, {}, name, {}, 0.3});
  }
  if (fabric.nodes() > 1) {
    faults.push_back({FaultKind::nic_lost, {}, "", Rank{3}});
    faults.push_back({FaultKind::nic_lost, {}, "", Rank{fabric.ranks - 1}});
  }
  faults.push_back({FaultKind::rank_lost, {}, "", Rank{fabric.ranks / 2}});
  return faults;
}

void check_path(const Pool& pool, Rank from, Rank to) {
  const Fabric& fabric = pool.cluster.fabric;
  std::vector<LinkId> path;
  fabric.route(from, to, 0, path);
  const std::vector<LinkEnds> ends = link_ends(fabric);
  const std::vector<char> present = present_links(fabric);
  Vertex at = index(from);
  std::set<LinkId> seen;
  for (const LinkId link : path) {
    CHECK(present[index(link)] != 0);
    CHECK(seen.insert(link).second);
    CHECK(ends[index(link)].from == at);
    at = ends[index(link)].to;
    const bool third = at < static_cast<Vertex>(fabric.ranks) && at != index(to);
    if (third) CHECK(fabric.passes_on.at(at) != 0);
    if (third)
      CHECK((fabric.same_node(id_of<Rank>(at), from) || fabric.same_node(id_of<Rank>(at), to)));
  }
  CHECK(at == index(to));
}

// Random rows between all ranks that are left, as one dispatch; check_step keeps bytes and bounds.
void check_exchange(const Pool& pool, Fidelity fidelity) {
  const auto ranks = static_cast<std::size_t>(pool.cluster.ranks());
  Random random(7);
  std::vector<std::uint32_t> matrix(ranks * ranks);
  for (std::size_t pair = 0; pair < matrix.size(); ++pair) {
    const Rank from = id_of<Rank>(pair / ranks), to = id_of<Rank>(pair % ranks);
    const auto rows = static_cast<std::uint32_t>(random.below(100));
    if (from == to || pool.plan.is_lost(from) || pool.plan.is_lost(to)) continue;
    matrix[pair] = rows;
    check_path(pool, from, to);
  }
  const FabricPaths paths(pool.cluster.fabric);
  ExchangeInputs inputs;
  inputs.traffic.legs = {{std::make_shared<RowCounts>(RowCounts::of_matrix(matrix, ranks)), 7168}};
  inputs.peers = static_cast<int>(ranks) - 1;
  inputs.keep_flows = true;
  StepGraph graph;
  graph.ranks = static_cast<int>(ranks);
  Task task;
  task.kind = TaskKind::dispatch;
  task.exchange = 0;
  graph.tasks = {task};
  graph.exchanges = {make_exchange(paths, graph.ranks, inputs)};
  const Timeline timeline = replay(graph, pool.cluster, fidelity);
  CHECK_NOTHROW(check_step(graph, timeline, pool.cluster));
  CHECK(timeline.makespan >= graph.exchanges[0].port_bound * (1 - 1e-9));
}

// A refusal is right where some two ranks that are left are apart in the graph.
bool some_apart(const Pool& before, const Fault& fault) {
  const Fabric after = with_fault(before.cluster, fault).fabric;
  for (int rank = 0; rank < after.ranks; ++rank) {
    const std::vector<int> hops = test::hops_from(after, static_cast<Vertex>(rank), true);
    for (int other = 0; other < after.ranks; ++other)
      if (hops[static_cast<std::size_t>(other)] < 0) return true;
  }
  return false;
}

TEST_CASE("after any one fault exchanges keep the laws, or two ranks are apart") {
  const MoeModel model = load_model("gpt-oss-20b");
  int went_on = 0, refused = 0;
  for (const std::string& topology : Catalog<TopologyPart>::instance().names()) {
    for (const int ranks : {8, 64}) {
      const auto fabric = test::build_of_size(topology, ranks);
      if (!fabric) continue;
      const Pool pool = pool_of(*fabric);
      for (const Fault& fault : faults_of(*fabric)) {
        CAPTURE(topology);
        CAPTURE(ranks);
        const std::string name = to_text(fault);
        CAPTURE(name);
        std::optional<Pool> after;
        try {
          after = apply_fault(pool, fault, model).pool;
        } catch (const InputError& error) {
          ++refused;
          CHECK(some_apart(pool, fault));
          CHECK(std::string(error.what()).find(name) != std::string::npos);
          continue;
        }
        ++went_on;
        check_exchange(*after, Fidelity::bound);
        if (ranks == 8) check_exchange(*after, Fidelity::flows);
      }
    }
  }
  CHECK(went_on > 60);
  CHECK(refused > 3);  // a switch's one cable to a GPU in a single node
}

TEST_CASE("faults add up: two NICs of a node, then a rank they went over") {
  const MoeModel model = load_model("gpt-oss-20b");
  Pool pool = pool_of(test::build("rail_optimized", test::options_of(4)));
  for (const Fault& fault :
       {Fault{FaultKind::nic_lost, {}, "", Rank{3}}, Fault{FaultKind::nic_lost, {}, "", Rank{4}},
        Fault{FaultKind::rank_lost, {}, "", Rank{5}}})
    pool = apply_fault(pool, fault, model).pool;
  std::vector<LinkId> path;
  pool.cluster.fabric.route(Rank{3}, Rank{11}, 0, path);
  CHECK(pool.cluster.fabric.links[index(path[0])].name == "nvlink 3 out");
  CHECK(pool.cluster.fabric.links[index(path[1])].name == "nvlink 6 in");
  CHECK(pool.cluster.fabric.links[index(path[2])].name == "nic 6 out");
  check_exchange(pool, Fidelity::bound);
}

}  // namespace
}  // namespace moesim
