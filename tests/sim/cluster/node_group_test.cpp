// Keys that shape fabrics, sick links, and nodes that differ.
#include <doctest/doctest.h>

#include "sim/cluster/cluster.h"
#include "sim/cluster/fabric_file.h"
#include "sim/io/files.h"
#include "sim/io/json_reader.h"
#include "tests/temporary_folder.h"

namespace moesim {
namespace {

using namespace literals;

ClusterSpec h100_with(const std::string& keys) {
  ClusterSpec spec = load_cluster_preset("h100-ib");
  read_cluster_keys(read_json_text(keys, "cluster.json"), spec);
  return spec;
}

std::string refusal(const std::string& keys) {
  try {
    build_cluster(h100_with(keys));
  } catch (const InputError& error) {
    return error.what();
  }
  return "built";
}

double bandwidth_of(const Cluster& cluster, const std::string& name) {
  for (const Link& link : cluster.fabric.links) {
    if (link.name == name) return link.bandwidth.value;
  }
  FAIL("no link " << name);
  return 0;
}

TEST_CASE("every key that shapes a fabric is read into its option") {
  const TopologyOptions options =
      h100_with(R"({"planes": 2, "gpus_per_tray": 2, "switch_ports": 16, "gpus_per_switch": 3,
                    "switches_per_group": 5, "torus": [1, 2, 3], "switch_link": "25 GB/s",
                    "scale_up": "mesh"})")
          .options;
  CHECK(options.planes == 2);
  CHECK(options.gpus_per_tray == 2);
  CHECK(options.switch_ports == 16);
  CHECK(options.gpus_per_switch == 3);
  CHECK(options.switches_per_group == 5);
  CHECK(options.torus == std::vector<int>{1, 2, 3});
  CHECK(options.switch_link == 25_GBps);
  CHECK(options.scale_up == ScaleUp::mesh);
  CHECK(refusal(R"({"topology": "torus_3d", "planes": 2})").find("cluster.planes: means nothing") !=
        std::string::npos);
}

TEST_CASE("a graph brings its counts, from beside the file that names it") {
  const test::TemporaryFolder folder;
  const Cluster rails = build_cluster(h100_with(R"({"nodes": 4})"));
  write_file(folder / "graph.json", to_json(fabric_file_of(rails.fabric)));
  write_file(folder / "cluster.json",
             R"({"accelerator": "h100-sxm", "topology": "custom", "source": "a test",
                 "graph": "graph.json"})");
  const Cluster cluster = build_cluster(load_cluster_preset(folder / "cluster.json"));
  CHECK(cluster.ranks() == 32);
  CHECK(cluster.fabric.nodes() == 4);
}

TEST_CASE("link health lowers a tier, a cable, or one direction of it") {
  const Cluster cluster = build_cluster(h100_with(
      R"({"link_health": {"nvlink": 0.5, "nic 3": 0.25, "nic 4 in": 0.1, "_note": "by hand"}})"));
  CHECK(bandwidth_of(cluster, "nvlink 7 in") == doctest::Approx(225e9));
  CHECK(bandwidth_of(cluster, "nic 3 out") == doctest::Approx(12.5e9));
  CHECK(bandwidth_of(cluster, "nic 3 in") == doctest::Approx(12.5e9));
  CHECK(bandwidth_of(cluster, "nic 4 in") == doctest::Approx(5e9));
  CHECK(bandwidth_of(cluster, "nic 4 out") == doctest::Approx(50e9));
}

TEST_CASE("link health of an unknown link or of nothing is refused at its place") {
  const std::string unknown = refusal(R"({"link_health": {"nic 333": 0.5}})");
  CHECK(unknown.starts_with("cluster.json:1:"));
  CHECK(unknown.find("did you mean \"nic 3\"") != std::string::npos);
  CHECK(refusal(R"({"link_health": {"spine_core": 0.5}})").find("no tier") != std::string::npos);
  CHECK(refusal(R"({"link_health": {"nic": 0}})").find("above 0") != std::string::npos);
  CHECK(refusal(R"({"link_health": {"nic": 1.5}})").find("link_health") != std::string::npos);
}

TEST_CASE("node groups give nodes their own accelerator, links and pace") {
  const Cluster cluster = build_cluster(
      h100_with(R"({"node_groups": [{"nodes": 2}, {"nodes": 1, "accelerator": "a100-sxm"},
                                    {"nodes": 1, "nic": "200 Gb/s", "slow": 1.25}]})"));
  CHECK(cluster.ranks() == 32);
  CHECK(cluster.accelerator_of(Rank{15}).name == "h100-sxm");
  CHECK(cluster.accelerator_of(Rank{16}).name == "a100-sxm");
  CHECK(cluster.accelerator_of(Rank{24}) == cluster.accelerator);
  CHECK(cluster.slow_of(Rank{23}) == 1);
  CHECK(cluster.slow_of(Rank{24}) == 1.25);
  CHECK(cluster.accelerator_of(Rank{24}).memory == cluster.accelerator.memory);
  CHECK(bandwidth_of(cluster, "nvlink 15 out") == doctest::Approx(450e9));
  CHECK(bandwidth_of(cluster, "nvlink 16 out") == doctest::Approx(300e9));
  CHECK(bandwidth_of(cluster, "nic 23 out") == doctest::Approx(50e9));
  CHECK(bandwidth_of(cluster, "nic 24 out") == doctest::Approx(25e9));
}

TEST_CASE("node groups that do not add up, or that say what they may not, are refused") {
  CHECK(refusal(R"({"nodes": 4, "node_groups": [{"nodes": 2}]})").find("cluster.node_groups") !=
        std::string::npos);
  CHECK(refusal(R"({"node_groups": [{"nodes": 2, "slow": 0.5}]})").find("slow") !=
        std::string::npos);
  CHECK(refusal(R"({"node_groups": [{"nodes": 2, "accelerator": "h100-smx"}]})")
            .find("did you mean \"h100-sxm\"") != std::string::npos);
  CHECK(refusal(R"({"node_groups": [{"nodes": 2, "pace": 2}]})").find("pace") != std::string::npos);
  CHECK(refusal(R"({"node_groups": []})").find("at least one") != std::string::npos);
}

}  // namespace
}  // namespace moesim
