// One walk over all pairs of ranks; runs of links and halves are numbered at first sight. Threads
// walk a block of sources each and number what they meet by themselves; the blocks are then joined
// in order, which gives the numbers of one walk.
#include "sim/plan/fabric_paths.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "sim/core/on_threads.h"
#include "sim/plan/path_numbers.h"

namespace moesim {
namespace {

// The paths from some of the sources.
class Block {
 public:
  Block(const Fabric& fabric, std::size_t first, std::size_t last)
      : first_(first),
        last_(last),
        fabric_(fabric),
        leaving_(static_cast<std::size_t>(fabric.ranks)),
        entering_(static_cast<std::size_t>(fabric.ranks)) {}

  // paths: of all ranks; those from this block's sources are filled.
  void walk(std::span<FabricPaths::Path> paths) {
    const auto ranks = static_cast<std::size_t>(fabric_.ranks);
    for (std::size_t source = first_; source < last_; ++source)
      for (std::size_t destination = 0; destination < ranks; ++destination)
        if (source != destination) paths[source * ranks + destination] = path(source, destination);
  }

  // Takes in the sources after these.
  void join(Block& next) {
    const std::vector<std::uint32_t> runs = runs_.join(next.runs_);
    leaving_.join(next.leaving_, runs);  // of sources that no other block has: numbers stay
    next.joined_first_ = next.entering_.first_by_rank();
    next.joined_ = entering_.join(next.entering_, runs);
  }
  // After joining.
  FabricPaths::Path joined(FabricPaths::Path walked, std::size_t destination) const {
    if (!joined_.empty()) walked.entering = joined_[joined_first_[destination] + walked.entering];
    return walked;
  }

  RunNumbers& runs() { return runs_; }
  FabricPaths::Halves leaving() const { return leaving_.in_order(); }
  FabricPaths::Halves entering() const { return entering_.in_order(); }

 private:
  FabricPaths::Path path(std::size_t source, std::size_t destination) {
    links_.clear();
    fabric_.route(id_of<Rank>(source), id_of<Rank>(destination), 0, links_);
    if (links_.empty())
      throw std::logic_error("the route from rank " + std::to_string(source) + " to " +
                             std::to_string(destination) + " has no link");
    const std::span<const LinkId> links = links_;
    const std::size_t middle = (links.size() + 1) / 2;
    return {number_in(leaving_, source, links.front(), links.subspan(1, middle - 1)),
            links.size() == 1 ? number_in(entering_, destination, FabricPaths::kNoLink, {})
                              : number_in(entering_, destination, links.back(),
                                          links.subspan(middle, links.size() - 1 - middle))};
  }

  std::uint16_t number_in(HalfNumbers& halves,
                          std::size_t rank,
                          LinkId port,
                          std::span<const LinkId> run) {
    return halves.number_of(rank, port, runs_.number_of(run), [&] {
      double latency = 0;
      if (port != FabricPaths::kNoLink) latency += fabric_.links[index(port)].latency.count();
      for (const LinkId link : run) latency += fabric_.links[index(link)].latency.count();
      return latency;
    });
  }

  std::size_t first_, last_;  // sources
  const Fabric& fabric_;
  std::vector<LinkId> links_;  // of the path that is being added
  RunNumbers runs_;
  HalfNumbers leaving_, entering_;
  // Numbers of entering halves where this block was joined: rank by rank; empty = they stayed.
  std::vector<std::uint16_t> joined_;
  std::vector<std::uint32_t> joined_first_;
};

// Links that paths begin or end with, ascending.
std::vector<LinkId> ports_of(const FabricPaths& paths, std::size_t links) {
  std::vector<char> is_port(links);
  for (const FabricPaths::Halves* halves : {&paths.leaving(), &paths.entering()})
    for (const FabricPaths::Half& half : halves->all)
      if (half.port != FabricPaths::kNoLink) is_port[index(half.port)] = 1;
  std::vector<LinkId> ports;
  for (std::size_t link = 0; link < links; ++link)
    if (is_port[link] != 0) ports.push_back(id_of<LinkId>(link));
  return ports;
}

// Blocks of at least so many sources: fewer paths than theirs are walked before a thread has begun.
constexpr std::size_t kLeastSources = 128;

std::size_t most_of_a_rank(const FabricPaths::Halves& halves) {
  std::size_t most = 0;
  for (std::size_t rank = 0; rank + 1 < halves.first.size(); ++rank)
    most = std::max<std::size_t>(most, halves.first[rank + 1] - halves.first[rank]);
  return most;
}

}  // namespace

template <class PathOf>
void FabricPaths::fill_table(std::size_t threads, const PathOf& path_of) {
  const bool narrow = std::max(most_of_a_rank(leaving_), most_of_a_rank(entering_)) <= 256;
  slowest_into_.resize(ranks_);
  table_.fill(ranks_, narrow, threads,
              [&](std::size_t first_source, std::size_t first_to, PathTable::Tile& tile) {
                for (std::size_t i = 0; i < PathTable::kBlock && first_source + i < ranks_; ++i) {
                  for (std::size_t j = 0; j < PathTable::kBlock && first_to + j < ranks_; ++j) {
                    const std::size_t source = first_source + i, to = first_to + j;
                    if (source == to) continue;
                    const Path path = tile[i][j] = path_of(source, to);
                    slowest_into_[to] =
                        std::max(slowest_into_[to],
                                 leaving_.all[leaving_.first[source] + path.leaving].latency +
                                     entering_.all[entering_.first[to] + path.entering].latency);
                  }
                }
              });
}

FabricPaths::FabricPaths(const Fabric& fabric, int threads)
    : ranks_(static_cast<std::size_t>(fabric.ranks)), bisection_(bisection_bandwidth(fabric)) {
  for (const Link& link : fabric.links) {
    bandwidth_.push_back(link.bandwidth.value);
    scale_up_.push_back(link.tier == LinkTier::nvlink ? 1 : 0);
  }
  std::vector<Path> walked(ranks_ * ranks_);  // [source][destination]
  const std::size_t blocks = std::clamp<std::size_t>(
      ranks_ / kLeastSources, 1, static_cast<std::size_t>(std::max(threads, 1)));
  std::vector<Block> parts;
  std::vector<std::size_t> block_of(ranks_);  // by source
  parts.reserve(blocks);
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t first = i * ranks_ / blocks, last = (i + 1) * ranks_ / blocks;
    parts.emplace_back(fabric, first, last);
    std::fill(block_of.begin() + static_cast<std::ptrdiff_t>(first),
              block_of.begin() + static_cast<std::ptrdiff_t>(last), i);
  }
  on_threads(blocks, [&](std::size_t i) { parts[i].walk(walked); });
  for (std::size_t i = 1; i < blocks; ++i) parts.front().join(parts[i]);
  leaving_ = parts.front().leaving();
  entering_ = parts.front().entering();
  fill_table(blocks, [&](std::size_t source, std::size_t destination) {
    return parts[block_of[source]].joined(walked[source * ranks_ + destination], destination);
  });
  parts.front().runs().give(links_, run_first_);
  ports_ = ports_of(*this, fabric.links.size());
}

}  // namespace moesim
