// RowCounts: how many rows each rank sends to each other, sparse.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

// Of every source its destinations with at least one row, ascending. A destination is a rank, or a
// node where it says so. Rows that stay on a rank are counted too.
class RowCounts {
 public:
  struct Entry {
    std::uint32_t destination, rows;
  };

  // Adds the next source: rows by destination; leaves `rows` all zero.
  void add_source(std::span<std::uint32_t> rows);
  void clear();
  void reserve(std::size_t entries) { entries_.reserve(entries); }

  std::size_t sources() const { return first_.size() - 1; }
  std::span<const Entry> of(std::size_t source) const {
    return {entries_.data() + first_[source], entries_.data() + first_[source + 1]};
  }
  std::size_t entries() const { return entries_.size(); }
  std::uint64_t total() const;
  std::uint32_t at(std::size_t source, std::size_t destination) const;
  // Rows from j to i where these have rows from i to j; destinations are ranks.
  RowCounts transposed() const;

  // From a full matrix [source][destination].
  static RowCounts of_matrix(std::span<const std::uint32_t> matrix, std::size_t destinations);

 private:
  // They fill source_ and return how many entries it has.
  std::size_t find_few(std::span<const std::uint32_t> rows);
  std::size_t find_many(std::span<const std::uint32_t> rows);

  std::vector<std::uint64_t> first_{0};  // by source, and the end
  std::vector<Entry> entries_;
  std::vector<Entry> source_;           // being added
  std::vector<std::uint8_t> has_rows_;  // of the source being added, by destination: 0 or 1
  std::size_t last_ = 0;  // entries of the source added last: the next is much like it
};

}  // namespace moesim
