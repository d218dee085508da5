// One walk over all pairs of ranks; runs of links and halves are numbered at first sight.
#include "sim/plan/fabric_paths.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace moesim {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29U);
}

// Numbers by what they stand for: open addressing in one block, since at 4096 ranks every one of
// 16 million paths looks four up.
class NumberTable {
 public:
  static constexpr std::uint32_t kFree = 0xFFFFFFFF;

  // Where the number that `same` accepts stands, or where it belongs.
  template <class Same>
  std::uint32_t& find(std::uint64_t hash, const Same& same) {
    std::size_t slot = hash & (slots_.size() - 1);
    while (slots_[slot] != kFree && !same(slots_[slot])) slot = (slot + 1) & (slots_.size() - 1);
    return slots_[slot];
  }
  // To be told after one is added: how many there are, and each one's hash.
  template <class HashOf>
  void grow(std::size_t numbers, const HashOf& hash_of) {
    if (2 * numbers < slots_.size()) return;
    slots_.assign(2 * slots_.size(), kFree);
    for (std::uint32_t number = 0; number < numbers; ++number)
      find(hash_of(number), [](std::uint32_t) { return false; }) = number;
  }

 private:
  std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(1024, kFree);
};

// Of each rank the halves met so far.
class HalfNumbers {
 public:
  explicit HalfNumbers(std::size_t ranks) : count_(ranks) {}

  std::uint16_t number_of(std::size_t rank, const FabricPaths::Half& half) {
    const auto same = [&](std::uint32_t number) {
      const Met& met = met_[number];
      return met.rank == rank && met.half.port == half.port && met.half.run == half.run;
    };
    std::uint32_t& slot = table_.find(hash_of({rank, 0, half}), same);
    if (slot != NumberTable::kFree) return met_[slot].number;
    if (count_[rank] > std::numeric_limits<std::uint16_t>::max())
      throw std::logic_error("rank " + std::to_string(rank) + " has more than 65,536 half paths");
    slot = static_cast<std::uint32_t>(met_.size());
    met_.push_back({rank, static_cast<std::uint16_t>(count_[rank]++), half});
    table_.grow(met_.size(), [&](std::uint32_t number) { return hash_of(met_[number]); });
    return met_.back().number;
  }

  FabricPaths::Halves in_order() const {
    FabricPaths::Halves halves;
    halves.first.push_back(0);
    for (const std::uint32_t count : count_) halves.first.push_back(halves.first.back() + count);
    halves.all.resize(met_.size());
    for (const Met& met : met_) halves.all[halves.first[met.rank] + met.number] = met.half;
    return halves;
  }

 private:
  struct Met {
    std::size_t rank;
    std::uint16_t number;
    FabricPaths::Half half;
  };
  static std::uint64_t hash_of(const Met& met) {
    return mix(mix(met.rank, static_cast<std::uint64_t>(index(met.half.port))), met.half.run);
  }

  std::vector<std::uint32_t> count_;  // by rank
  std::vector<Met> met_;
  NumberTable table_;
};

}  // namespace

class FabricPaths::Builder {
 public:
  Builder(const Fabric& fabric, FabricPaths& paths)
      : fabric_(fabric), paths_(paths), leaving_(paths.ranks_), entering_(paths.ranks_) {
    paths_.run_first_ = {0};
  }

  void add(std::size_t source, std::size_t destination) {
    walk(source, destination);
    const std::span<const LinkId> links = links_;
    const std::size_t middle = (links.size() + 1) / 2;
    paths_.paths_[source * paths_.ranks_ + destination] = {
        leaving_.number_of(source, half(links.front(), links.subspan(1, middle - 1))),
        entering_.number_of(
            destination,
            links.size() == 1
                ? half(kNoLink, {})
                : half(links.back(), links.subspan(middle, links.size() - 1 - middle)))};
  }

  void finish() {
    paths_.leaving_ = leaving_.in_order();
    paths_.entering_ = entering_.in_order();
    std::vector<char> is_port(fabric_.links.size());
    for (const Halves* halves : {&paths_.leaving_, &paths_.entering_})
      for (const Half& half : halves->all)
        if (half.port != kNoLink) is_port[index(half.port)] = 1;
    for (std::size_t link = 0; link < is_port.size(); ++link)
      if (is_port[link] != 0) paths_.ports_.push_back(id_of<LinkId>(link));
  }

 private:
  void walk(std::size_t source, std::size_t destination) {
    links_.clear();
    fabric_.route(id_of<Rank>(source), id_of<Rank>(destination), 0, links_);
    if (links_.empty())
      throw std::logic_error("the route from rank " + std::to_string(source) + " to " +
                             std::to_string(destination) + " has no link");
  }

  Half half(LinkId port, std::span<const LinkId> run) {
    Half half{port, run_of(run), 0};
    if (port != kNoLink) half.latency += fabric_.links[index(port)].latency.count();
    for (const LinkId link : run) half.latency += fabric_.links[index(link)].latency.count();
    return half;
  }

  std::uint32_t run_of(std::span<const LinkId> links) {
    const auto same = [&](std::uint32_t run) {
      const std::span<const LinkId> known = paths_.links_of(run);
      return std::equal(known.begin(), known.end(), links.begin(), links.end());
    };
    std::uint32_t& slot = runs_.find(hash_of(links), same);
    if (slot != NumberTable::kFree) return slot;
    const auto run = static_cast<std::uint32_t>(paths_.runs());
    slot = run;
    paths_.links_.insert(paths_.links_.end(), links.begin(), links.end());
    paths_.run_first_.push_back(static_cast<std::uint32_t>(paths_.links_.size()));
    runs_.grow(paths_.runs(), [&](std::uint32_t known) { return hash_of(paths_.links_of(known)); });
    return run;
  }

  static std::uint64_t hash_of(std::span<const LinkId> links) {
    std::uint64_t hash = links.size();
    for (const LinkId link : links) hash = mix(hash, static_cast<std::uint64_t>(index(link)));
    return hash;
  }

  const Fabric& fabric_;
  FabricPaths& paths_;
  std::vector<LinkId> links_;  // of the path that is being added
  NumberTable runs_;
  HalfNumbers leaving_, entering_;
};

FabricPaths::FabricPaths(const Fabric& fabric)
    : ranks_(static_cast<std::size_t>(fabric.ranks)), bisection_(bisection_bandwidth(fabric)) {
  for (const Link& link : fabric.links) {
    bandwidth_.push_back(link.bandwidth.value);
    scale_up_.push_back(link.tier == LinkTier::nvlink ? 1 : 0);
  }
  paths_.resize(ranks_ * ranks_);
  Builder builder(fabric, *this);
  for (std::size_t source = 0; source < ranks_; ++source)
    for (std::size_t destination = 0; destination < ranks_; ++destination)
      if (source != destination) builder.add(source, destination);
  builder.finish();
}

}  // namespace moesim
