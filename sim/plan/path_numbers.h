// Runs of links and halves of paths, numbered at first sight while paths are walked.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/plan/fabric_paths.h"

namespace moesim {

inline constexpr std::uint32_t kNoNumber = std::numeric_limits<std::uint32_t>::max();

// Runs of links by number; no two are alike.
class RunNumbers {
 public:
  std::size_t size() const { return first_.size() - 1; }
  std::span<const LinkId> links_of(std::size_t run) const {
    return {links_.data() + first_[run], links_.data() + first_[run + 1]};
  }
  // Runs of one link, which most are, are found by that link.
  std::uint32_t number_of(std::span<const LinkId> links) {
    if (links.size() != 1) return number_of_many(links);
    const auto link = static_cast<std::size_t>(index(links.front()));
    if (link >= of_link_.size()) of_link_.resize(link + 1, kNoNumber);
    if (of_link_[link] == kNoNumber) of_link_[link] = add(links);
    return of_link_[link];
  }
  // Of another numbering's runs, in order.
  std::vector<std::uint32_t> join(const RunNumbers& other);

  void give(std::vector<LinkId>& links, std::vector<std::uint32_t>& first) {
    links = std::move(links_);
    first = std::move(first_);
  }

 private:
  std::uint32_t number_of_many(std::span<const LinkId> links);
  std::uint32_t add(std::span<const LinkId> links);
  // Where the run stands in table_, or belongs.
  std::uint32_t& place_of(std::span<const LinkId> links);

  std::vector<LinkId> links_;
  std::vector<std::uint32_t> first_{0};  // by run, and the end
  std::vector<std::uint32_t> of_link_;   // runs of one link, by that
  std::vector<std::uint32_t> table_ = std::vector<std::uint32_t>(1024, kNoNumber);  // all others
  std::size_t in_table_ = 0;
};

// Of each rank the halves met so far: a small table a rank, for a walk meets one rank after the
// other.
class HalfNumbers {
 public:
  explicit HalfNumbers(std::size_t ranks) : of_rank_(ranks) {}

  // latency_of() is asked for a half that was not met yet.
  template <class LatencyOf>
  std::uint16_t number_of(std::size_t rank,
                          LinkId port,
                          std::uint32_t run,
                          const LatencyOf& latency_of) {
    OfRank& of = of_rank_[rank];
    Place& place = of.place_of(port, run);
    if (place.number == kNoNumber) {
      if (of.met.size() > std::numeric_limits<std::uint16_t>::max())
        throw std::logic_error("rank " + std::to_string(rank) + " has more than 65,536 half paths");
      place = {port, run, static_cast<std::uint32_t>(of.met.size())};
      of.met.push_back({port, run, latency_of()});
      if (4 * of.met.size() > 3 * of.places.size()) of.grow();
      return static_cast<std::uint16_t>(of.met.size() - 1);
    }
    return static_cast<std::uint16_t>(place.number);
  }

  // Those of another numbering, whose runs are numbered otherwise here, after the ones met so far.
  // Their new numbers: rank by rank, in the order of in_order().
  std::vector<std::uint16_t> join(const HalfNumbers& other, std::span<const std::uint32_t> run);

  std::vector<std::uint32_t> first_by_rank() const;  // and the end
  FabricPaths::Halves in_order() const;

 private:
  struct Place {
    LinkId port = FabricPaths::kNoLink;
    std::uint32_t run = 0, number = kNoNumber;
  };
  struct OfRank {
    std::vector<FabricPaths::Half> met;
    std::vector<Place> places = std::vector<Place>(8);  // open addressing

    Place& place_of(LinkId port, std::uint32_t run) {
      const std::uint64_t hash =
          ((static_cast<std::uint64_t>(index(port)) << 32U) ^ run) * 0x9e3779b97f4a7c15ULL;
      std::size_t at = (hash >> 40U) & (places.size() - 1);
      while (places[at].number != kNoNumber && (places[at].port != port || places[at].run != run))
        at = (at + 1) & (places.size() - 1);
      return places[at];
    }
    void grow();
  };

  std::vector<OfRank> of_rank_;
};

}  // namespace moesim
