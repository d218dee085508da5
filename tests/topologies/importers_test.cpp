// What other programs say of machines and networks, as graphs.
#include <doctest/doctest.h>

#include <map>

#include "sim/cluster/graph_importer.h"
#include "sim/io/files.h"
#include "tests/temporary_folder.h"
#include "tests/topologies/fabric_fixture.h"

namespace moesim {
namespace {

using test::path_between;

using namespace literals;

ImportedGraph imported(const std::string& text, const GraphImportOptions& options = {}) {
  const test::TemporaryFolder folder;
  write_file(folder / "file", text);
  return import_graph(folder / "file", "", options);
}

std::string refusal(const std::string& text) {
  try {
    imported(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "read";
}

Fabric built(const ImportedGraph& graph) {
  const test::TemporaryFolder folder;
  write_file(folder / "graph.json", to_json(graph.graph));
  TopologyOptions options;
  options.nodes = graph.graph.nodes;
  options.gpus_per_node = graph.graph.gpus_per_node;
  options.nvlink = 1_GBps;
  options.graph = folder / "graph.json";
  return Catalog<TopologyPart>::instance().at("custom", "topology")(options);
}

std::size_t count(const ImportedGraph& graph, DeviceKind kind) {
  std::size_t devices = 0;
  for (const Device& device : graph.graph.devices) devices += device.kind == kind ? 1 : 0;
  return devices;
}

// Four GPUs in two pairs under PCIe switches of two CPUs, as nvidia-smi prints them.
std::string matrix_of(const std::string& gpu_links) {
  const std::string& l = gpu_links;
  return "\tGPU0\tGPU1\tGPU2\tGPU3\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\n"
         "GPU0\t X \t" +
         l + "\t" + l + "\t" + l +
         "\tPXB\t0-31\t0\t\tN/A\n"
         "GPU1\t" +
         l + "\t X \t" + l + "\t" + l +
         "\tPXB\t0-31\t0\t\tN/A\n"
         "GPU2\t" +
         l + "\t" + l + "\t X \t" + l +
         "\tSYS\t32-63\t1\t\tN/A\n"
         "GPU3\t" +
         l + "\t" + l + "\t" + l +
         "\t X \tSYS\t32-63\t1\t\tN/A\n"
         "NIC0\tPXB\tPXB\tSYS\tSYS\t X \n"
         "\nLegend:\n\n  X    = Self\n  NV#  = Connection traversing a bonded set of # NVLinks\n"
         "\nNIC Legend:\n\n  NIC0: mlx5_0\n";
}

TEST_CASE("nvidia-smi: few NVLinks a pair are cables, more than a GPU has are a switch") {
  const ImportedGraph mesh = imported(matrix_of("NV6"));  // 3 peers x 6 = 18
  CHECK(count(mesh, DeviceKind::gpu) == 4);
  CHECK(count(mesh, DeviceKind::nic) == 1);
  CHECK(count(mesh, DeviceKind::nvswitch) == 0);
  const Fabric direct = built(mesh);
  CHECK(path_between(direct, 0, 3).size() == 1);
  CHECK(path_between(direct, 0, 3).front().bandwidth.value == doctest::Approx(6 * 25e9));

  GraphImportOptions options;
  options.nvlink = 50_GBps;
  const Fabric switched = built(imported(matrix_of("NV12"), options));
  CHECK(path_between(switched, 0, 3).size() == 2);
  CHECK(path_between(switched, 0, 3).front().bandwidth.value == doctest::Approx(12 * 50e9));
}

TEST_CASE("nvidia-smi: without NVLink the way leads over PCIe switches and CPUs") {
  std::string text = matrix_of("SYS");
  const std::string pair = "GPU0\t X \tSYS", mirrored = "GPU1\tSYS\t X";
  text.replace(text.find(pair), pair.size(), "GPU0\t X \tPIX");
  text.replace(text.find(mirrored), mirrored.size(), "GPU1\tPIX\t X");
  const ImportedGraph graph = imported(text);
  CHECK(graph.notes.size() >= 2);  // latency, and each bandwidth assumed
  const Fabric fabric = built(graph);
  CHECK(path_between(fabric, 0, 1).size() == 2);  // one switch
  CHECK(path_between(fabric, 0, 2).size() == 5);  // switch, CPU, CPU, switch
  CHECK(path_between(fabric, 0, 2)[2].tier == LinkTier::host);
}

TEST_CASE("nvidia-smi: a word that is no kind of path is refused by its line") {
  CHECK(refusal(matrix_of("PBX")).find(":2: GPU0: \"PBX\" is not one of") != std::string::npos);
  CHECK(refusal("\tGPU0\tGPU1\nGPU0\t X \tSYS\n").find("no row") != std::string::npos);
}

const char* const kNccl = R"(<system version="1">
  <cpu numaid="0" affinity="0000ffff" arch="x86_64" vendor="AuthenticAMD" familyid="143" modelid="49">
    <pci busid="0000:01:00.0" class="0x060400" link_speed="16.0 GT/s PCIe" link_width="16">
      <pci busid="0000:02:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="16">
        <gpu dev="0" sm="80" rank="0" gdr="1">
          <nvlink target="0000:09:00.0" count="12" tclass="0x068000"/>
        </gpu>
      </pci>
      <pci busid="0000:03:00.0" class="0x020700" link_speed="16.0 GT/s PCIe" link_width="16">
        <nic><net name="mlx5_0" dev="0" speed="200000" port="1" gdr="1"/></nic>
      </pci>
    </pci>
  </cpu>
  <cpu numaid="1" arch="x86_64">
    <pci busid="0000:81:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="16">
      <gpu dev="1" sm="80" rank="1" gdr="1">
        <nvlink target="0000:0a:00.0" count="12" tclass="0x068000"/>
      </gpu>
    </pci>
  </cpu>
</system>
)";

TEST_CASE("NCCL: GPUs meet at the NVSwitch, NICs have the speed of their port") {
  const ImportedGraph graph = imported(kNccl);
  CHECK(graph.graph.gpus_per_node == 2);
  CHECK(count(graph, DeviceKind::nvswitch) == 1);
  CHECK(count(graph, DeviceKind::cpu) == 2);
  CHECK(count(graph, DeviceKind::pcie_switch) == 1);
  const Fabric fabric = built(graph);
  CHECK(path_between(fabric, 0, 1).size() == 2);
  CHECK(path_between(fabric, 0, 1).front().bandwidth.value == doctest::Approx(12 * 25e9));
  std::map<double, int> pcie;  // GB/s
  for (const FabricFile::Cable& cable : graph.graph.cables) {
    if (cable.tier == LinkTier::pcie) ++pcie[std::round(cable.bandwidth.value / 1e8) / 10];
  }
  // 16 GT/s x 16 lanes / 8 x 128/130 = 31.5 GB/s; 200,000 Mb/s = 25 GB/s.
  CHECK(pcie == std::map<double, int>{{25, 1}, {31.5, 3}});
}

TEST_CASE("NCCL: a number that is none, or broken XML, is refused by its line") {
  std::string text = kNccl;
  text.replace(text.find("count=\"12\""), 10, "count=\"xx\"");
  CHECK(refusal(text).find(":6: nvlink: count=\"xx\"") != std::string::npos);
  text = kNccl;
  text.replace(text.find("</nic>"), 6, "</nix>");
  CHECK(refusal(text).find(":10:") != std::string::npos);
}

TEST_CASE("SimGrid: routes of links become a graph with a switch where links meet") {
  const ImportedGraph graph = imported(R"(<?xml version='1.0'?>
<platform version="4.1">
  <zone id="all" routing="Full">
    <host id="h0" speed="1Gf"/> <host id="h1" speed="1Gf"/> <host id="h2" speed="1Gf"/>
    <link id="l0" bandwidth="10Gbps" latency="5us" sharing_policy="SPLITDUPLEX"/>
    <link id="l1" bandwidth="1.25GBps" latency="5us"/>
    <link id="l2" bandwidth="125MBps" latency="50us"/>
    <link id="unused" bandwidth="1GBps"/>
    <route src="h0" dst="h1"><link_ctn id="l0"/><link_ctn id="l1"/></route>
    <route src="h0" dst="h2"><link_ctn id="l0"/><link_ctn id="l2"/></route>
    <route src="h1" dst="h2"><link_ctn id="l1"/><link_ctn id="l2"/></route>
  </zone>
</platform>)");
  CHECK(graph.graph.nodes == 3);
  CHECK(count(graph, DeviceKind::fabric_switch) == 1);
  CHECK(graph.graph.cables.size() == 3);
  CHECK(graph.notes.size() == 2);  // the unused link, and those shared by both directions
  const Fabric fabric = built(graph);
  const auto path = path_between(fabric, 0, 2);
  REQUIRE(path.size() == 2);
  CHECK(path[0].bandwidth == 10_Gbps);
  CHECK(path[1].name == "l2 out");
  CHECK(path[1].latency.count() == doctest::Approx(50e-6));
  CHECK(graph.graph.source.starts_with("SimGrid platform"));
}

TEST_CASE("what no graph file could hold is refused when it is imported") {
  const auto two_hosts = [](const std::string& first, const std::string& link) {
    return "<platform version=\"4.1\"><zone id=\"z\" routing=\"Full\"><host id=\"" + first +
           "\"/><host id=\"b\"/><link id=\"l\" " + link + "/><route src=\"" + first +
           "\" dst=\"b\"><link_ctn id=\"l\"/></route></zone></platform>";
  };
  CHECK(refusal(two_hosts("a", "bandwidth=\"1GBps\"")) == "read");
  CHECK(refusal(two_hosts("\xff", "bandwidth=\"1GBps\"")).find("is not UTF-8") !=
        std::string::npos);
  CHECK(refusal(two_hosts("a", "bandwidth=\"1e308TBps\"")).find("is not a number") !=
        std::string::npos);
  CHECK(refusal(two_hosts("a", "bandwidth=\"1GBps\" latency=\"1e200s\"")).find("latency") !=
        std::string::npos);
  const std::string cluster = R"(" suffix="" radical="0-1" speed="1Gf" bw="10Gbps" lat="1us"/>)";
  CHECK(
      refusal(R"(<platform version="4.1"><zone id="w" routing="Full"><cluster id="c" prefix="a-)" +
              cluster + R"(<cluster id="c" prefix="b-)" + cluster + "</zone></platform>")
          .find("another link is named \"c_link_0\"") != std::string::npos);
}

TEST_CASE("SimGrid: a cluster is hosts around a switch, zones are joined at their gateways") {
  const ImportedGraph graph = imported(R"(<platform version="4.1"><zone id="w" routing="Full">
  <cluster id="a" prefix="a-" suffix="" radical="0-3" speed="1Gf" bw="10Gbps" lat="1us"/>
  <cluster id="b" prefix="b-" suffix="" radical="0-1,5,7" speed="1Gf" bw="10Gbps" lat="1us"
           bb_bw="100Gbps" bb_lat="0"/>
  <link id="between" bandwidth="20Gbps" latency="2us"/>
  <zoneRoute src="a" dst="b" gw_src="a-a_router" gw_dst="b-b_router"><link_ctn id="between"/></zoneRoute>
</zone></platform>)");
  CHECK(graph.graph.nodes == 8);
  CHECK(graph.graph.devices.at(9).name == "b-7");
  const Fabric fabric = built(graph);
  CHECK(path_between(fabric, 0, 3).size() == 2);
  CHECK(path_between(fabric, 0, 4).size() == 3);
}

TEST_CASE("SimGrid: what a graph cannot say, and what is not read, is refused by its line") {
  const std::string hosts =
      "<platform version=\"4.1\"><zone id=\"z\" routing=\"Full\">\n"
      "<host id=\"a\"/><host id=\"b\"/><host id=\"c\"/>\n"
      "<link id=\"la\" bandwidth=\"1GBps\"/><link id=\"lb\" bandwidth=\"1GBps\"/>\n"
      "<link id=\"lc\" bandwidth=\"1GBps\"/><link id=\"back\" bandwidth=\"1GBps\"/>\n";
  const auto route = [](const std::string& from, const std::string& to) {
    return "<route src=\"" + from + "\" dst=\"" + to + "\"><link_ctn id=\"l" + from +
           "\"/><link_ctn id=\"back\"/><link_ctn id=\"l" + to + "\"/></route>\n";
  };
  CHECK(refusal(hosts + route("a", "b") + route("a", "c") + route("b", "c") + "</zone></platform>")
            .find(":4: link: \"back\" would join a switch to itself") != std::string::npos);
  CHECK(refusal(hosts + route("a", "d") + "</zone></platform>").find("dst=\"d\" is no host") !=
        std::string::npos);
  CHECK(refusal(hosts + "<hots id=\"d\"/></zone></platform>").find("did you mean \"host\"") !=
        std::string::npos);
  CHECK(refusal("<platform version=\"4\"><zone id=\"z\"><link id=\"l\" bandwidth=\"1Gb\"/></zone>"
                "</platform>")
            .find("bandwidth=\"1Gb\" is not a number with one of the units") != std::string::npos);
}

TEST_CASE("a file of no known format is refused with what is known") {
  CHECK(refusal("{}").find("nvidia_smi: the matrix") != std::string::npos);
}

}  // namespace
}  // namespace moesim
