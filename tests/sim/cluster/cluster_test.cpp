// Accelerators, presets and the keys that override them.
#include "sim/cluster/cluster.h"

#include <doctest/doctest.h>

#include "sim/io/json_reader.h"

namespace moesim {
namespace {

using namespace literals;

TEST_CASE("every shipped accelerator reads, and no two precisions are out of order") {
  CHECK(accelerator_names().size() >= 7);
  for (const std::string& name : accelerator_names()) {
    CAPTURE(name);
    const Accelerator accelerator = load_accelerator(name);
    CHECK(accelerator.name == name);
    CHECK(accelerator.source.size() > 20);
    CHECK(accelerator.memory >= 40_GiB);
    CHECK(accelerator.memory_bandwidth >= 1000_GBps);
    CHECK(accelerator.nvlink >= 100_GBps);
    CHECK(accelerator.peak.at("bf16") >= 100_TFLOPS);
    CHECK(accelerator.peak.at("f32") < accelerator.peak.at("bf16"));
    if (accelerator.peak.contains("fp8"))
      CHECK(accelerator.peak.at("bf16") < accelerator.peak.at("fp8"));
    if (accelerator.peak.contains("fp4"))
      CHECK(accelerator.peak.at("fp8") < accelerator.peak.at("fp4"));
  }
}

TEST_CASE("an H100 has the datasheet's numbers") {
  const Accelerator h100 = load_accelerator("h100-sxm");
  CHECK(h100.memory == 80_GiB);
  CHECK(h100.memory_bandwidth == 3350_GBps);
  CHECK(h100.peak.at("bf16") == 989_TFLOPS);
  CHECK(h100.nvlink == 450_GBps);
  CHECK(h100.sms == 132);
}

TEST_CASE("an unknown accelerator or preset is refused with the nearest name") {
  CHECK_THROWS_WITH_AS(load_accelerator("h100-smx"), doctest::Contains("did you mean \"h100-sxm\""),
                       InputError);
  CHECK_THROWS_WITH_AS(load_cluster_preset("h100-bi"),
                       doctest::Contains("did you mean \"h100-ib\""), InputError);
  CHECK_THROWS_AS(load_accelerator("./no/such/accelerator.json"), InputError);
}

TEST_CASE("every shipped preset builds the cluster it states") {
  CHECK(cluster_preset_names().size() >= 9);
  for (const std::string& name : cluster_preset_names()) {
    CAPTURE(name);
    const ClusterSpec spec = load_cluster_preset(name);
    CHECK(spec.preset == name);
    CHECK(spec.source.size() > 20);
    const Cluster cluster = build_cluster(spec);
    CHECK(cluster.ranks() == spec.options.nodes * spec.options.gpus_per_node);
    CHECK(cluster.accelerator.name == spec.accelerator);
    CHECK(cluster.spec.options.nvlink == cluster.accelerator.nvlink);
  }
}

TEST_CASE("keys override a preset and leave the rest") {
  ClusterSpec spec = load_cluster_preset("h100-ib");
  read_cluster_keys(read_json_text(R"({"nodes": 4, "nic": "200 Gb/s", "congestion": "ecmp",
                                       "nvlink": "300 GB/s", "oversubscription": 2})",
                                   "test"),
                    spec);
  CHECK(spec.options.nodes == 4);
  CHECK(spec.options.nic == 25_GBps);
  CHECK(spec.options.ecmp);
  CHECK(spec.options.oversubscription == 2);
  CHECK(spec.options.gpus_per_node == 8);
  CHECK(spec.topology == "rail_optimized");
  CHECK(build_cluster(spec).fabric.links.front().bandwidth == 300_GBps);
}

TEST_CASE("a wrong value of a cluster key is refused at its place") {
  const auto refused = [](const char* text) {
    ClusterSpec spec;
    try {
      read_cluster_keys(read_json_text(text, "cluster.json"), spec);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("nothing refused");
  };
  CHECK(refused(R"({"nodes": 0})").starts_with("cluster.json:1:"));
  CHECK(refused(R"({"nic": 400})").find("nic") != std::string::npos);
  CHECK(refused(R"({"nic": "0 Gb/s"})").find("above 0") != std::string::npos);
  CHECK(refused(R"({"nic_latency": "-1 us"})").find("negative") != std::string::npos);
  CHECK(refused(R"({"oversubscription": 0.5})").find("oversubscription") != std::string::npos);
  CHECK(refused(R"({"congestion": "ecpm"})").find("\"ecmp\"") != std::string::npos);
  CHECK(refused(R"({"topology": "rail_optimised"})").find("\"rail_optimized\"") !=
        std::string::npos);
  CHECK(refused(R"({"accelerator": "h10-sxm"})").find("\"h100-sxm\"") != std::string::npos);
}

TEST_CASE("two MI300X have one xGMI link between them, a seventh of a GPU's bandwidth") {
  const Cluster cluster = build_cluster(load_cluster_preset("mi300x-ib"));
  std::vector<LinkId> path;
  cluster.fabric.route(Rank{0}, Rank{5}, 0, path);
  REQUIRE(path.size() == 1);
  CHECK(cluster.fabric.links[index(path.front())].bandwidth == 64_GBps);
}

TEST_CASE("a cluster of an unknown topology is refused with the valid names") {
  ClusterSpec spec = load_cluster_preset("h100-ib");
  spec.topology = "rails";
  CHECK_THROWS_WITH_AS(build_cluster(spec), doctest::Contains("rail_optimized"), InputError);
}

}  // namespace
}  // namespace moesim
