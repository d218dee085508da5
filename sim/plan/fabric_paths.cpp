// One walk over all pairs of ranks.
#include "sim/plan/fabric_paths.h"

#include <stdexcept>
#include <string>

namespace moesim {
namespace {

void walk(const Fabric& fabric,
          std::size_t source,
          std::size_t destination,
          std::vector<LinkId>& path) {
  path.clear();
  if (source == destination) return;
  fabric.route(id_of<Rank>(source), id_of<Rank>(destination), 0, path);
  if (path.empty())
    throw std::logic_error("the route from rank " + std::to_string(source) + " to " +
                           std::to_string(destination) + " has no link");
}

}  // namespace

FabricPaths::FabricPaths(const Fabric& fabric)
    : ranks_(static_cast<std::size_t>(fabric.ranks)), bisection_(bisection_bandwidth(fabric)) {
  for (std::size_t link = 0; link < fabric.links.size(); ++link) {
    bandwidth_.push_back(fabric.links[link].bandwidth.value);
    if (is_port(fabric.links[link].tier)) ports_.push_back(id_of<LinkId>(link));
  }
  first_.reserve(ranks_ * ranks_ + 1);
  latency_.reserve(ranks_ * ranks_);
  first_.push_back(0);
  std::vector<LinkId> path;
  for (std::size_t source = 0; source < ranks_; ++source)
    for (std::size_t destination = 0; destination < ranks_; ++destination) {
      walk(fabric, source, destination, path);
      double latency = 0;
      for (const LinkId link : path) latency += fabric.links[index(link)].latency.count();
      links_.insert(links_.end(), path.begin(), path.end());
      latency_.push_back(latency);
      first_.push_back(static_cast<std::uint32_t>(links_.size()));
    }
  links_.shrink_to_fit();
}

}  // namespace moesim
