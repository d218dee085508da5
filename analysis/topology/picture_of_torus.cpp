// The switches of a torus, seen from above one corner; rings close by arcs.
#include <map>

#include "analysis/topology/fabric_picture.h"

namespace moesim {
namespace {

constexpr std::size_t kMostAlong = 4;
constexpr double kBox = 36, kHigh = 18;

// Steps on paper: x to the right, y upwards to the right, z upwards.
constexpr double kX = 120, kYRight = 62, kYUp = 40, kZ = 150;

}  // namespace

FabricPicture picture_of_torus(const Fabric& fabric) {
  FabricPicture picture;
  std::map<Vertex, std::size_t> box_of;
  std::vector<std::vector<std::size_t>> along;
  std::size_t switches = 1;
  for (const int side : fabric.switch_grid) {
    along.push_back(representatives(static_cast<std::size_t>(side), kMostAlong));
    switches *= static_cast<std::size_t>(side);
  }
  const Vertex first = boost::num_vertices(fabric.graph) - switches;  // switches come last
  const auto size = [&](std::size_t axis) { return static_cast<double>(along[axis].size()); };
  picture.width = 80 + (size(0) - 1) * kX + (size(1) - 1) * kYRight + 80;
  picture.height = 60 + (size(1) - 1) * kYUp + (size(2) - 1) * kZ + 60;
  for (std::size_t z = 0; z < along[2].size(); ++z) {
    for (std::size_t y = 0; y < along[1].size(); ++y) {
      for (std::size_t x = 0; x < along[0].size(); ++x) {
        const auto nx = static_cast<std::size_t>(fabric.switch_grid[0]);
        const auto ny = static_cast<std::size_t>(fabric.switch_grid[1]);
        const Vertex vertex = first + (along[2][z] * ny + along[1][y]) * nx + along[0][x];
        const Device& device = fabric.graph[vertex];
        box_of[vertex] = picture.boxes.size();
        picture.boxes.push_back(
            {80 + static_cast<double>(x) * kX + static_cast<double>(y) * kYRight,
             picture.height - 60 - static_cast<double>(y) * kYUp - static_cast<double>(z) * kZ,
             kBox, kHigh, device.kind, device.name.substr(device.name.rfind(' ') + 1),
             device.name + ", " + std::to_string(fabric.ranks_per_node) + " GPUs"});
      }
    }
  }
  const std::vector<LinkEnds> ends = link_ends(fabric);
  for (std::size_t link = 0; link < ends.size(); link += 2) {
    const auto a = box_of.find(ends[link].from), b = box_of.find(ends[link].to);
    if (a == box_of.end() || b == box_of.end()) continue;
    const PictureBox &from = picture.boxes[a->second], &to = picture.boxes[b->second];
    // Numbers grow along every axis, so that only a cable that closes a ring runs backwards.
    const bool closes = ends[link].from > ends[link].to;
    picture.lines.push_back(
        {from.x, from.y, to.x, to.y, fabric.links[link].tier, closes ? 16.0 : 0.0, false});
  }
  picture.texts.push_back(
      {8, picture.height - 8,
       std::to_string(fabric.switch_grid[0]) + " x " + std::to_string(fabric.switch_grid[1]) +
           " x " + std::to_string(fabric.switch_grid[2]) + " switches, each with " +
           std::to_string(fabric.ranks_per_node) + " GPUs (not drawn); arcs close the rings",
       false});
  return picture;
}

FabricPicture picture_of(const Fabric& fabric) {
  if (fabric.switch_grid.size() == 3) return picture_of_torus(fabric);
  const bool only_gpus = boost::num_vertices(fabric.graph) == static_cast<Vertex>(fabric.ranks);
  return fabric.switch_grid.size() == 2 || only_gpus ? picture_in_circles(fabric)
                                                     : picture_in_rows(fabric);
}

}  // namespace moesim
