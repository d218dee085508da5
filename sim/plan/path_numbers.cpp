// Open addressing; a table is kept half to three quarters full at most.
#include "sim/plan/path_numbers.h"

#include <algorithm>

namespace moesim {
namespace {

std::uint64_t hash_of(std::span<const LinkId> links) {
  std::uint64_t hash = links.size();
  for (const LinkId link : links) {
    hash = (hash ^ static_cast<std::uint64_t>(index(link))) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29U;
  }
  return hash;
}

}  // namespace

std::uint32_t& RunNumbers::place_of(std::span<const LinkId> links) {
  const auto same = [&](std::uint32_t run) {
    const std::span<const LinkId> known = links_of(run);
    return std::equal(known.begin(), known.end(), links.begin(), links.end());
  };
  std::size_t at = hash_of(links) & (table_.size() - 1);
  while (table_[at] != kNoNumber && !same(table_[at])) at = (at + 1) & (table_.size() - 1);
  return table_[at];
}

std::uint32_t RunNumbers::add(std::span<const LinkId> links) {
  links_.insert(links_.end(), links.begin(), links.end());
  first_.push_back(static_cast<std::uint32_t>(links_.size()));
  return static_cast<std::uint32_t>(size() - 1);
}

std::uint32_t RunNumbers::number_of_many(std::span<const LinkId> links) {
  std::uint32_t& place = place_of(links);
  if (place != kNoNumber) return place;
  const std::uint32_t run = place = add(links);
  if (2 * ++in_table_ > table_.size()) {
    table_.assign(2 * table_.size(), kNoNumber);
    for (std::uint32_t known = 0; known < size(); ++known)
      if (links_of(known).size() != 1) place_of(links_of(known)) = known;
  }
  return run;
}

std::vector<std::uint32_t> RunNumbers::join(const RunNumbers& other) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(other.size());
  for (std::size_t run = 0; run < other.size(); ++run)
    numbers.push_back(number_of(other.links_of(run)));
  return numbers;
}

void HalfNumbers::OfRank::grow() {
  places.assign(2 * places.size(), Place{});
  for (std::uint32_t number = 0; number < met.size(); ++number)
    place_of(met[number].port, met[number].run) = {met[number].port, met[number].run, number};
}

std::vector<std::uint16_t> HalfNumbers::join(const HalfNumbers& other,
                                             std::span<const std::uint32_t> run) {
  std::vector<std::uint16_t> numbers;
  for (std::size_t rank = 0; rank < of_rank_.size(); ++rank)
    for (const FabricPaths::Half& half : other.of_rank_[rank].met)
      numbers.push_back(number_of(rank, half.port, run[half.run], [&] { return half.latency; }));
  return numbers;
}

std::vector<std::uint32_t> HalfNumbers::first_by_rank() const {
  std::vector<std::uint32_t> first{0};
  for (const OfRank& of : of_rank_)
    first.push_back(first.back() + static_cast<std::uint32_t>(of.met.size()));
  return first;
}

FabricPaths::Halves HalfNumbers::in_order() const {
  FabricPaths::Halves halves;
  halves.first = first_by_rank();
  halves.all.reserve(halves.first.back());
  for (const OfRank& of : of_rank_)
    halves.all.insert(halves.all.end(), of.met.begin(), of.met.end());
  return halves;
}

}  // namespace moesim
