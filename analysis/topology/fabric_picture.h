// A picture of a fabric: where its devices stand, then SVG. Large fabrics are drawn by
// representatives: the first nodes, GPUs and switches, and the last one.
#pragma once

#include <string>
#include <vector>

#include "sim/cluster/fabric.h"
#include "sim/cluster/fabric_summary.h"

namespace moesim {

struct PictureBox {  // a device, or several of a kind that one box stands for
  double x = 0, y = 0, width = 0, height = 0;  // of its centre
  DeviceKind kind{};
  std::string label, tooltip;
};
struct PictureLine {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  LinkTier tier{};
  double bend = 0;      // how far its middle is pulled off the straight line
  bool dashed = false;  // devices between its ends are not drawn
};
struct PictureText {
  double x = 0, y = 0;
  std::string text;
  bool centred = true;
};
struct PictureFrame {                          // around the devices of a node or a group
  double x = 0, y = 0, width = 0, height = 0;  // of its upper left corner
  std::string title;
};

struct FabricPicture {
  double width = 0, height = 0;
  std::vector<PictureFrame> frames;
  std::vector<PictureLine> lines;
  std::vector<PictureBox> boxes;
  std::vector<PictureText> texts;
};

FabricPicture picture_in_rows(const Fabric& fabric);     // GPUs below, switches above, tier by tier
FabricPicture picture_in_circles(const Fabric& fabric);  // dragonfly groups; GPUs of one mesh
FabricPicture picture_of_torus(const Fabric& fabric);    // switches seen from above one corner
FabricPicture picture_of(const Fabric& fabric);          // the one that suits it

// A whole SVG file with `title`, the picture and a legend of tiers: colour, bandwidth, latency.
std::string fabric_svg(const FabricPicture& picture,
                       const FabricSummary& summary,
                       const std::string& title);

// The summary for a terminal; and for programs, in bytes a second and seconds.
std::string fabric_text(const FabricSummary& summary, const std::string& title);
std::string fabric_json(const FabricSummary& summary, const std::string& topology);

// Of `count` things in order, those to draw when there is room for `most`: the first ones and the
// last.
std::vector<std::size_t> representatives(std::size_t count, std::size_t most);

}  // namespace moesim
