// One walk over all pairs of ranks; middles are interned link by link.
#include "sim/plan/fabric_paths.h"

#include <stdexcept>
#include <string>
#include <unordered_map>

namespace moesim {
namespace {

void walk(const Fabric& fabric,
          std::size_t source,
          std::size_t destination,
          std::vector<LinkId>& path) {
  path.clear();
  fabric.route(id_of<Rank>(source), id_of<Rank>(destination), 0, path);
  if (path.empty())
    throw std::logic_error("the route from rank " + std::to_string(source) + " to " +
                           std::to_string(destination) + " has no link");
}

// A tree of link sequences: a node is a sequence, its children are that sequence and one link more.
class Sequences {
 public:
  std::uint32_t step(std::uint32_t node, std::uint32_t link) {
    const std::uint64_t key = (static_cast<std::uint64_t>(node) << 32U) | link;
    return children_.try_emplace(key, static_cast<std::uint32_t>(children_.size() + 1))
        .first->second;
  }
  std::uint32_t of(std::uint32_t ports, std::span<const LinkId> links) {
    std::uint32_t node = step(0, ports);
    for (const LinkId link : links) node = step(node, static_cast<std::uint32_t>(index(link)));
    return node;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> children_;
};

}  // namespace

// The number of `link` among the ports of `rank`, given at first sight.
std::uint16_t FabricPaths::Ports::number_of(std::size_t rank, LinkId link) {
  std::uint16_t& known = number[index(link)];
  if (known == kNoPort) {
    known = static_cast<std::uint16_t>(of[rank].size());
    of[rank].push_back(link);
  }
  return known;
}

FabricPaths::FabricPaths(const Fabric& fabric)
    : ranks_(static_cast<std::size_t>(fabric.ranks)), bisection_(bisection_bandwidth(fabric)) {
  for (const Link& link : fabric.links) {
    bandwidth_.push_back(link.bandwidth.value);
    link_latency_.push_back(link.latency.count());
    scale_up_.push_back(link.tier == LinkTier::nvlink ? 1 : 0);
  }
  for (Ports* ports : {&out_, &in_}) {
    ports->of.resize(ranks_);
    ports->number.assign(fabric.links.size(), kNoPort);
  }
  intern_paths(fabric);
}

void FabricPaths::intern_paths(const Fabric& fabric) {
  std::vector<char> is_port(fabric.links.size());
  middle_of_.resize(ranks_ * ranks_);
  Sequences sequences;
  std::unordered_map<std::uint32_t, std::uint32_t> known;  // sequence -> middle
  std::vector<LinkId> path;
  for (std::size_t pair = 0; pair < ranks_ * ranks_; ++pair) {
    const std::size_t source = pair / ranks_, destination = pair % ranks_;
    if (source == destination) continue;
    walk(fabric, source, destination, path);
    is_port[index(path.front())] = is_port[index(path.back())] = 1;
    // A direct cable is a port of both ends, so it is kept as a middle.
    const bool direct = path.size() == 1;
    const std::uint16_t out = direct ? kNoPort : out_.number_of(source, path.front());
    const std::uint16_t in = direct ? kNoPort : in_.number_of(destination, path.back());
    const auto links = direct ? std::span<const LinkId>(path)
                              : std::span<const LinkId>(path).subspan(1, path.size() - 2);
    const std::uint32_t sequence =
        sequences.of((static_cast<std::uint32_t>(out) << 16U) | in, links);
    const auto [found, fresh] =
        known.try_emplace(sequence, static_cast<std::uint32_t>(middles_.size()));
    middle_of_[pair] = found->second;
    if (fresh) add_middle(out, in, links);
  }
  for (std::size_t link = 0; link < is_port.size(); ++link)
    if (is_port[link] != 0) ports_.push_back(id_of<LinkId>(link));
}

void FabricPaths::add_middle(std::uint16_t out, std::uint16_t in, std::span<const LinkId> links) {
  Middle middle{static_cast<std::uint32_t>(links_.size()), 0, out, in, 0};
  links_.insert(links_.end(), links.begin(), links.end());
  middle.last = static_cast<std::uint32_t>(links_.size());
  for (const LinkId link : links) middle.latency += link_latency_[index(link)];
  middles_.push_back(middle);
}

}  // namespace moesim
