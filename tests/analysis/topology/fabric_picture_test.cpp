// Pictures of fabrics: what is drawn, and that it is a whole, small SVG file.
#include "analysis/topology/fabric_picture.h"

#include <doctest/doctest.h>

#include "sim/cluster/cluster.h"
#include "sim/io/xml_reader.h"

namespace moesim {
namespace {

Fabric fabric_of(const std::string& topology, int nodes) {
  ClusterSpec spec = load_cluster_preset("h100-ib");
  spec.topology = topology;
  spec.options.nodes = topology == "single_node" || topology == "nvlink_mesh" ? 1 : nodes;
  return build_cluster(spec).fabric;
}

TEST_CASE("representatives are the first ones and the last") {
  CHECK(representatives(3, 4) == std::vector<std::size_t>{0, 1, 2});
  CHECK(representatives(9, 4) == std::vector<std::size_t>{0, 1, 2, 8});
}

TEST_CASE("every topology is drawn as XML of at most 60 KB, whose boxes lie inside") {
  for (const std::string& topology : Catalog<TopologyPart>::instance().names()) {
    if (topology == "custom") continue;  // drawn as what it holds
    for (const int nodes : {2, 128}) {
      CAPTURE(topology);
      CAPTURE(nodes);
      const Fabric fabric = fabric_of(topology, nodes);
      const FabricPicture picture = picture_of(fabric);
      CHECK(picture.boxes.size() >= 2);  // two switches of a small torus
      CHECK(!picture.lines.empty());
      for (const PictureBox& box : picture.boxes) {
        CHECK(box.x - box.width / 2 >= 0);
        CHECK(box.x + box.width / 2 <= picture.width);
        CHECK(box.y + box.height / 2 <= picture.height);
      }
      const std::string svg = fabric_svg(picture, summary_of(fabric), "a <title> & more");
      CHECK(svg.size() < 60000);
      CHECK(read_xml_text(svg, "picture.svg").name == "svg");
      CHECK(svg.find("a &lt;title&gt; &amp; more") != std::string::npos);
    }
  }
}

TEST_CASE("a picture's legend and the summary state bandwidths with their units") {
  const Fabric fabric = fabric_of("rail_optimized", 4);
  const FabricSummary summary = summary_of(fabric);
  const std::string svg = fabric_svg(picture_of(fabric), summary, "rails");
  CHECK(svg.find("NIC: 50.0 GB/s each way") != std::string::npos);
  const std::string text = fabric_text(summary, "rails");
  CHECK(text.find("32 = 4 nodes x 8") != std::string::npos);
  CHECK(text.find("800 GB/s each way") != std::string::npos);  // 16 NICs of 50 GB/s
}

}  // namespace
}  // namespace moesim
