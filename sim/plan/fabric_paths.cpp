// One walk over all pairs of ranks; middles are interned link by link.
#include "sim/plan/fabric_paths.h"

#include <algorithm>
#include <stdexcept>
#include <string>

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

std::uint64_t hash_of(std::uint16_t out, std::uint16_t in, std::span<const LinkId> links) {
  std::uint64_t hash = (static_cast<std::uint64_t>(out) << 16U) | in;
  for (const LinkId link : links) hash = (hash ^ index(link)) * 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29U);
}

}  // namespace

// Middles by what they are: open addressing in one block, since at 4096 ranks every one of 16
// million pairs looks one up.
class FabricPaths::MiddleTable {
 public:
  static constexpr std::uint32_t kFree = 0xFFFFFFFF;

  // Where the middle that `same` accepts stands, or where it belongs.
  template <class Same>
  std::uint32_t& find(std::uint64_t hash, const Same& same) {
    std::size_t slot = hash & (slots_.size() - 1);
    while (slots_[slot] != kFree && !same(slots_[slot])) slot = (slot + 1) & (slots_.size() - 1);
    return slots_[slot];
  }
  // To be told after one is added: how many there are, and each one's hash.
  template <class HashOf>
  void grow(std::size_t middles, const HashOf& hash_of_middle) {
    if (2 * middles < slots_.size()) return;
    slots_.assign(2 * slots_.size(), kFree);
    for (std::uint32_t id = 0; id < middles; ++id)
      find(hash_of_middle(id), [](std::uint32_t) { return false; }) = id;
  }

 private:
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1024, kFree);
};

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
  MiddleTable table;
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
    middle_of_[pair] = middle_of(table, out, in, links);
  }
  for (std::size_t link = 0; link < is_port.size(); ++link)
    if (is_port[link] != 0) ports_.push_back(id_of<LinkId>(link));
}

// The number of the middle, given at first sight.
std::uint32_t FabricPaths::middle_of(MiddleTable& table,
                                     std::uint16_t out,
                                     std::uint16_t in,
                                     std::span<const LinkId> links) {
  const auto same = [&](std::uint32_t id) {
    const Middle& middle = middles_[id];
    const std::span<const LinkId> known = links_of(middle);
    return middle.out == out && middle.in == in &&
           std::equal(known.begin(), known.end(), links.begin(), links.end());
  };
  std::uint32_t& slot = table.find(hash_of(out, in, links), same);
  if (slot != MiddleTable::kFree) return slot;
  const auto id = static_cast<std::uint32_t>(middles_.size());
  slot = id;
  add_middle(out, in, links);
  table.grow(middles_.size(), [&](std::uint32_t known) {
    return hash_of(middles_[known].out, middles_[known].in, links_of(middles_[known]));
  });
  return id;
}

void FabricPaths::add_middle(std::uint16_t out, std::uint16_t in, std::span<const LinkId> links) {
  Middle middle{static_cast<std::uint32_t>(links_.size()), 0, out, in, 0};
  links_.insert(links_.end(), links.begin(), links.end());
  middle.last = static_cast<std::uint32_t>(links_.size());
  for (const LinkId link : links) middle.latency += link_latency_[index(link)];
  middles_.push_back(middle);
}

}  // namespace moesim
