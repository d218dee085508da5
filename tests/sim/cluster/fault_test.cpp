// What each fault does to a cluster's links, paths and paces, by name.
#include "sim/cluster/fault.h"

#include <doctest/doctest.h>

#include "sim/cluster/detours.h"
#include "sim/model/moe_model.h"
#include "sim/plan/pool_faults.h"
#include "tests/topologies/fabric_fixture.h"

namespace moesim {
namespace {

using Names = std::vector<std::string>;

Cluster rails(int nodes, int gpus = 8, int planes = 1) {
  TopologyOptions options = test::options_of(nodes, gpus);
  options.planes = planes;
  Cluster cluster;
  cluster.fabric = test::build("rail_optimized", options);
  return cluster;
}

Names path_of(const Cluster& cluster, int from, int to) {
  Names names;
  for (const Link& link : test::path_between(cluster.fabric, from, to)) names.push_back(link.name);
  return names;
}

Fault down(const std::string& link) { return {FaultKind::link_down, {}, link}; }
Fault nic_lost(int rank) { return {FaultKind::nic_lost, {}, "", Rank{rank}}; }

std::string refusal(const Cluster& cluster, const Fault& fault) {
  const MoeModel model = load_model("gpt-oss-20b");
  Pool pool{cluster, {}};
  pool.plan.parallelism = {cluster.ranks(), cluster.ranks(), 1};
  try {
    apply_fault(pool, fault, model);
  } catch (const InputError& error) {
    return error.what();
  }
  return "went on";
}

TEST_CASE("without its NIC a rank sends and receives over the next GPU of its node") {
  const Cluster after = with_fault(rails(2), nic_lost(3));
  Names out = path_of(after, 3, 11);
  REQUIRE(out.size() == 6);
  CHECK(out[3].starts_with("leaf 4 > spine "));
  CHECK(out[4].starts_with("leaf 3 > spine "));
  out.erase(out.begin() + 3, out.begin() + 5);
  CHECK(out == Names{"nvlink 3 out", "nvlink 4 in", "nic 4 out", "nic 11 in"});
  CHECK(path_of(after, 12, 3) == Names{"nic 12 out", "nic 4 in", "nvlink 4 out", "nvlink 3 in"});
  CHECK(path_of(after, 3, 5) == Names{"nvlink 3 out", "nvlink 5 in"});
  CHECK(path_of(after, 2, 10) == path_of(rails(2), 2, 10));
  std::vector<char> passes(16);
  passes[4] = 1;
  CHECK(after.fabric.passes_on == passes);
  // The last local rank's neighbour is the first.
  CHECK(path_of(with_fault(rails(2), nic_lost(7)), 7, 15)[1] == "nvlink 0 in");
}

TEST_CASE("a link down sends paths over another spine, and spreads them over all others") {
  const Cluster before = rails(2);
  const Names usual = path_of(before, 0, 9);
  REQUIRE(usual.size() == 4);
  const std::string cable = usual[1].substr(0, usual[1].rfind(' '));
  const Cluster after = with_fault(before, down(cable));
  const Names around = path_of(after, 0, 9);
  REQUIRE(around.size() == 4);
  CHECK(around[0] == usual[0]);
  CHECK(around[1] != usual[1]);
  CHECK(around[1].starts_with("leaf 0 > spine "));
  CHECK(around[3] == usual[3]);
}

TEST_CASE("with planes a NIC's lost port leaves the other planes") {
  const Cluster before = rails(2, 8, 2);
  for (int to = 8; to < 16; ++to) {
    const Names path = path_of(with_fault(before, down("nic 3 plane 0")), 3, to);
    CHECK(path.front() == "nic 3 plane 1 out");
  }
  // nic_lost takes all planes.
  CHECK(path_of(with_fault(before, nic_lost(3)), 3, 11).front() == "nvlink 3 out");
}

TEST_CASE("one direction of a cable can fail, and a pattern names many") {
  const Cluster one_way = with_fault(rails(2), down("nic 3 out"));
  CHECK(path_of(one_way, 3, 11).front() == "nvlink 3 out");
  CHECK(path_of(one_way, 11, 3) == path_of(rails(2), 11, 3));
  const Cluster before = rails(2);
  const Cluster many = with_fault(before, down("leaf 0 > *"));
  const std::vector<char> present = present_links(many.fabric);
  for (std::size_t link = 0; link < present.size(); ++link)
    CHECK((present[link] != 0) != many.fabric.links[link].name.starts_with("leaf 0 > "));
  // Rail 0 is cut off from the spines: GPU 0 goes over GPU 1's rail, but stays on its own to GPU 8.
  CHECK(path_of(many, 0, 9)[1] == "nvlink 1 in");
  CHECK(path_of(many, 0, 8) == Names{"nic 0 out", "nic 8 in"});
}

TEST_CASE("a degraded link keeps its share of the bandwidth, a slow GPU only its pace") {
  const Cluster before = rails(2);
  const Cluster degraded = with_fault(before, {FaultKind::link_degraded, {}, "nic 3", {}, 0.25});
  for (std::size_t link = 0; link < before.fabric.links.size(); ++link) {
    const bool named = before.fabric.links[link].name.starts_with("nic 3 ");
    CHECK(degraded.fabric.links[link].bandwidth.value ==
          (named ? 0.25 : 1) * before.fabric.links[link].bandwidth.value);
  }
  Cluster slow = with_fault(before, {FaultKind::slow_gpu, {}, "", Rank{3}, 1.5});
  slow = with_fault(slow, {FaultKind::slow_gpu, {}, "", Rank{3}, 2});
  for (int rank = 0; rank < 16; ++rank) CHECK(slow.slow_of(Rank{rank}) == (rank == 3 ? 3 : 1));
}

TEST_CASE("what cannot be gone around names the fault and the two ranks") {
  const std::string alone = refusal(rails(2, 1), nic_lost(1));
  CHECK(alone.find("with nic_lost rank 1 nothing joins rank 0 to rank 1 any more") !=
        std::string::npos);
  CHECK(refusal(rails(1), nic_lost(1)).find("joins one node: rank 1 has no NIC") !=
        std::string::npos);
  CHECK(refusal(rails(1), down("nvlink 2")).find("nothing joins rank 0 to rank 2") !=
        std::string::npos);
  CHECK(refusal(rails(2), down("nic 99")).find("did you mean \"nic 9\"") != std::string::npos);
  CHECK(refusal(rails(2), down("nvlink 2")) == "went on");  // over its NIC
  CHECK(refusal(rails(2), down("nic")).find("nothing joins rank 0 to rank 8") != std::string::npos);
}

}  // namespace
}  // namespace moesim
