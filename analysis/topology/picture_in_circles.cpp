// Devices that are all joined to each other stand in a circle: the switches of a dragonfly's
// groups, the groups in a circle themselves, and the GPUs of a mesh.
#include <cmath>
#include <map>
#include <numbers>

#include "analysis/topology/fabric_picture.h"

namespace moesim {
namespace {

constexpr std::size_t kMostGroups = 9, kMostSwitches = 8, kMostGpus = 16;
constexpr double kBox = 30, kHigh = 18;

struct Point {
  double x = 0, y = 0;
};

Point on_circle(Point centre, double radius, std::size_t i, std::size_t count) {
  if (count == 1) return centre;
  const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(count);
  return {centre.x + radius * std::sin(angle), centre.y - radius * std::cos(angle)};
}

void place(FabricPicture& picture,
           std::map<Vertex, Point>& places,
           const Device& device,
           Vertex vertex,
           Point at) {
  places[vertex] = at;
  const std::string label = device.name.substr(device.name.rfind(' ') + 1);
  picture.boxes.push_back({at.x, at.y, kBox, kHigh, device.kind, label, device.name});
}

void join(const Fabric& fabric, const std::map<Vertex, Point>& places, FabricPicture& picture) {
  const std::vector<LinkEnds> ends = link_ends(fabric);
  for (std::size_t link = 0; link < ends.size(); link += 2) {
    const auto a = places.find(ends[link].from), b = places.find(ends[link].to);
    if (a == places.end() || b == places.end()) continue;
    picture.lines.push_back(
        {a->second.x, a->second.y, b->second.x, b->second.y, fabric.links[link].tier, 0, false});
  }
}

FabricPicture mesh(const Fabric& fabric) {
  FabricPicture picture;
  picture.width = picture.height = 420;
  std::map<Vertex, Point> places;
  const auto drawn = representatives(static_cast<std::size_t>(fabric.ranks), kMostGpus);
  for (std::size_t i = 0; i < drawn.size(); ++i)
    place(picture, places, fabric.graph[drawn[i]], drawn[i],
          on_circle({210, 210}, 170, i, drawn.size()));
  join(fabric, places, picture);
  return picture;
}

}  // namespace

FabricPicture picture_in_circles(const Fabric& fabric) {
  if (fabric.switch_grid.size() != 2) return mesh(fabric);
  FabricPicture picture;
  picture.width = picture.height = 760;
  std::map<Vertex, Point> places;
  const auto all = static_cast<std::size_t>(fabric.switch_grid[0]);
  const auto switches = static_cast<std::size_t>(fabric.switch_grid[1]);
  const Vertex first = boost::num_vertices(fabric.graph) - all * switches;  // switches come last
  const auto groups = representatives(all, kMostGroups);
  const auto within = representatives(switches, kMostSwitches);
  const double radius = groups.size() > 1 ? 300 : 0;
  const double small = within.size() > 4 ? 62 : 44;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Point centre = on_circle({380, 370}, radius, g, groups.size());
    picture.frames.push_back({centre.x - small - 20, centre.y - small - 14, 2 * small + 40,
                              2 * small + 28, "group " + std::to_string(groups[g])});
    for (std::size_t r = 0; r < within.size(); ++r) {
      const Vertex vertex = first + groups[g] * switches + within[r];
      place(picture, places, fabric.graph[vertex], vertex,
            on_circle(centre, small, r, within.size()));
    }
  }
  join(fabric, places, picture);
  picture.texts.push_back(
      {8, 750,
       std::to_string(groups.size()) + " of " + std::to_string(all) + " groups, " +
           std::to_string(within.size()) + " of " + std::to_string(switches) +
           " switches a group; GPUs, one NIC each, hang on the switches in order and are not drawn",
       false});
  return picture;
}

}  // namespace moesim
