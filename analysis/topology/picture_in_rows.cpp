// Fabrics of switches: cores at the top, then spines, leaves, GPUs in their nodes, and below them
// what is inside a node.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/topology/fabric_picture.h"

namespace moesim {
namespace {

constexpr double kBox = 30, kHigh = 22, kGap = 6, kNodeGap = 34, kRow = 96, kLeft = 120;
constexpr std::size_t kMostNodes = 4, kMostGpus = 8, kMostSwitches = 16, kMostSpines = 8;

// Rows from top to bottom; several kinds may share one.
const std::vector<std::set<DeviceKind>>& rows_above() {
  static const std::vector<std::set<DeviceKind>> rows{
      {DeviceKind::core}, {DeviceKind::spine}, {DeviceKind::leaf, DeviceKind::fabric_switch}};
  return rows;
}
const std::vector<std::set<DeviceKind>>& rows_below() {
  static const std::vector<std::set<DeviceKind>> rows{
      {DeviceKind::nvswitch, DeviceKind::pcie_switch, DeviceKind::nic}, {DeviceKind::cpu}};
  return rows;
}

struct Drawing {
  const Fabric& fabric;
  std::vector<LinkEnds> ends;
  FabricPicture picture = {};
  std::map<Vertex, std::size_t> box_of = {};
  double right = kLeft;

  std::vector<Vertex> joined_to_drawn(const std::set<DeviceKind>& kinds) const;
  std::size_t count(const std::set<DeviceKind>& kinds) const;
  void place_gpus(double y);
  void place_row(const std::set<DeviceKind>& kinds, double y);
  void place_inside(const std::set<DeviceKind>& kinds, double y);
  void place(Vertex device, double x, double y);
  void join();
};

// Digits of the name: "12" of "leaf 12", which the row's caption explains.
std::string short_name(const std::string& name) {
  const std::size_t blank = name.rfind(' ');
  return blank == std::string::npos || name.size() - blank > 8 ? name.substr(0, 8)
                                                               : name.substr(blank + 1);
}

void Drawing::place(Vertex device, double x, double y) {
  const Device& one = fabric.graph[device];
  box_of[device] = picture.boxes.size();
  picture.boxes.push_back({x, y, kBox, kHigh, one.kind, short_name(one.name), one.name});
}

std::size_t Drawing::count(const std::set<DeviceKind>& kinds) const {
  std::size_t devices = 0;
  for (Vertex device = 0; device < boost::num_vertices(fabric.graph); ++device)
    devices += kinds.count(fabric.graph[device].kind);
  return devices;
}

std::vector<Vertex> Drawing::joined_to_drawn(const std::set<DeviceKind>& kinds) const {
  std::set<Vertex> found;
  for (const LinkEnds& link : ends) {
    if (box_of.count(link.from) != 0 && kinds.count(fabric.graph[link.to].kind) != 0)
      found.insert(link.to);
  }
  return {found.begin(), found.end()};
}

void Drawing::place_gpus(double y) {
  const auto per_node = static_cast<std::size_t>(fabric.ranks_per_node);
  std::size_t before = 0;
  for (const std::size_t node :
       representatives(static_cast<std::size_t>(fabric.nodes()), kMostNodes)) {
    if (node > before + 1) {
      picture.texts.push_back({right + kNodeGap / 2, y, "...", true});
      right += kNodeGap;
    }
    before = node;
    const double first = right;
    std::size_t last_local = 0;
    for (const std::size_t local : representatives(per_node, kMostGpus)) {
      if (local > last_local + 1) {
        picture.texts.push_back({right + kBox / 2, y, "...", true});
        right += kBox;
      }
      last_local = local;
      place(node * per_node + local, right + kBox / 2 + kGap, y);
      right += kBox + kGap;
    }
    picture.frames.push_back(
        {first, y - kHigh, right - first + kGap, kHigh * 2,
         "node " + std::to_string(node) + ": " + std::to_string(per_node) + " GPUs"});
    right += kNodeGap;
  }
  right -= kNodeGap;
}

void Drawing::place_row(const std::set<DeviceKind>& kinds, double y) {
  const std::vector<Vertex> candidates = joined_to_drawn(kinds);
  if (candidates.empty()) return;
  // All leaves of a plane are joined to all its spines: a few spines show it.
  const bool spines = kinds.count(DeviceKind::spine) != 0 && count({DeviceKind::core}) == 0;
  const std::vector<std::size_t> drawn =
      representatives(candidates.size(), spines ? kMostSpines : kMostSwitches);
  const double step = (right - kLeft) / static_cast<double>(drawn.size());
  for (std::size_t i = 0; i < drawn.size(); ++i)
    place(candidates[drawn[i]], kLeft + step * (static_cast<double>(i) + 0.5), y);
  const std::size_t all = count(kinds);
  const std::string kind = to_text(fabric.graph[candidates.front()].kind);
  picture.texts.push_back({8, y + 4,
                           drawn.size() == all ? std::to_string(all) + " " + kind
                                               : kind + ": " + std::to_string(drawn.size()) +
                                                     " of " + std::to_string(all),
                           false});
}

// Below the GPUs that they are joined to, pushed apart where they would overlap.
void Drawing::place_inside(const std::set<DeviceKind>& kinds, double y) {
  double free = kLeft + kGap;
  std::map<double, std::vector<Vertex>> by_place;
  for (const Vertex device : joined_to_drawn(kinds)) {
    double sum = 0, joined = 0;
    for (const LinkEnds& link : ends) {
      const auto other = box_of.find(link.to);
      if (link.from != device || other == box_of.end()) continue;
      sum += picture.boxes[other->second].x;
      ++joined;
    }
    by_place[sum / joined].push_back(device);
  }
  for (const auto& [x, devices] : by_place) {
    for (const Vertex device : devices) {
      const std::string label = fabric.graph[device].name.substr(0, 14);
      const double wide = 10 + 5.5 * static_cast<double>(label.size());
      const double at = std::max(x, free + wide / 2);
      place(device, at, y);
      picture.boxes.back().label = label;
      picture.boxes.back().width = wide;
      free = at + wide / 2 + kGap;
    }
  }
  right = std::max(right, free);
}

void Drawing::join() {
  for (std::size_t link = 0; link < ends.size(); link += 2) {
    const auto a = box_of.find(ends[link].from), b = box_of.find(ends[link].to);
    if (a == box_of.end() || b == box_of.end()) continue;
    const PictureBox &from = picture.boxes[a->second], &to = picture.boxes[b->second];
    PictureLine line{from.x, from.y, to.x, to.y, fabric.links[link].tier, 0, false};
    if (from.y == to.y) {  // beside each other: an arc below
      line.y1 = line.y2 = from.y + kHigh / 2;
      line.bend = (to.x > from.x ? 1 : -1) * std::min(60.0, std::abs(to.x - from.x) / 4 + 6);
    }
    picture.lines.push_back(line);
  }
}

}  // namespace

std::vector<std::size_t> representatives(std::size_t count, std::size_t most) {
  std::vector<std::size_t> drawn;
  for (std::size_t i = 0; i < std::min(count, most); ++i) drawn.push_back(i);
  if (count > most) drawn.back() = count - 1;
  return drawn;
}

FabricPicture picture_in_rows(const Fabric& fabric) {
  Drawing drawing{fabric, link_ends(fabric)};
  std::size_t above = 0;
  for (const auto& kinds : rows_above()) above += drawing.count(kinds) > 0 ? 1 : 0;
  double y = kHigh + static_cast<double>(above) * kRow;
  drawing.place_gpus(y);
  drawing.picture.texts.push_back({8, y + 4, std::to_string(fabric.ranks) + " GPUs", false});
  double up = y;
  for (auto kinds = rows_above().rbegin(); kinds != rows_above().rend(); ++kinds) {
    if (drawing.count(*kinds) == 0) continue;
    up -= kRow;
    drawing.place_row(*kinds, up);
  }
  for (const auto& kinds : rows_below()) {
    if (drawing.count(kinds) == 0) continue;
    y += kRow;
    drawing.place_inside(kinds, y);
  }
  drawing.join();
  drawing.picture.width = drawing.right + kLeft / 4;
  drawing.picture.height = y + 80;
  return drawing.picture;
}

}  // namespace moesim
