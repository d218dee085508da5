// Sparse rows, source after source.
#include "sim/plan/row_counts.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace moesim {
namespace {

// Of 64 bytes that are 0 or 1: bit i is byte i. A product gathers eight of them in its upper byte,
// each shifted to a place of its own.
std::uint64_t bits_of(const std::uint8_t* bytes) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t bits = 0;
  for (unsigned eight = 0; eight < 8; ++eight) {
    std::uint64_t some = 0;
    std::memcpy(&some, bytes + std::size_t{8} * eight, sizeof some);
    bits |= (some * 0x0102040810204080ULL >> 56U) << (8 * eight);
  }
  return bits;
}

}  // namespace

// Which destinations get rows is as good as random, so a branch on each would be guessed wrong.
// With few of them whole stretches are looked at once, and the branch is a loop over what they
// hold.
void RowCounts::add_source(std::span<std::uint32_t> rows) {
  constexpr std::size_t kFew = 4;  // one in so many
  source_.resize(rows.size());
  const std::size_t some = kFew * last_ < rows.size() ? find_few(rows) : find_many(rows);
  last_ = some;
  std::fill(rows.begin(), rows.end(), 0);
  entries_.insert(entries_.end(), source_.begin(),
                  source_.begin() + static_cast<std::ptrdiff_t>(some));
  first_.push_back(entries_.size());
}

std::size_t RowCounts::find_many(std::span<const std::uint32_t> rows) {
  std::size_t some = 0;
  for (std::size_t destination = 0; destination < rows.size(); ++destination) {
    source_[some] = {static_cast<std::uint32_t>(destination), rows[destination]};
    some += rows[destination] != 0 ? 1 : 0;
  }
  return some;
}

std::size_t RowCounts::find_few(std::span<const std::uint32_t> rows) {
  constexpr std::size_t kStretch = 64;
  has_rows_.resize((rows.size() + kStretch - 1) / kStretch * kStretch);
  std::uint8_t* const has = has_rows_.data();  // bytes may alias the vector that holds them
  const std::uint32_t* const of = rows.data();
  for (std::size_t i = 0, size = rows.size(); i < size; ++i) has[i] = of[i] != 0 ? 1 : 0;
  std::size_t some = 0;
  for (std::size_t first = 0; first < rows.size(); first += kStretch)
    for (std::uint64_t left = bits_of(has + first); left != 0; left &= left - 1) {
      const std::size_t destination = first + static_cast<std::size_t>(std::countr_zero(left));
      source_[some++] = {static_cast<std::uint32_t>(destination), rows[destination]};
    }
  return some;
}

void RowCounts::clear() {
  first_.assign(1, 0);
  entries_.clear();
}

std::uint64_t RowCounts::total() const {
  return std::accumulate(entries_.begin(), entries_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Entry& entry) { return sum + entry.rows; });
}

std::uint32_t RowCounts::at(std::size_t source, std::size_t destination) const {
  const std::span<const Entry> entries = of(source);
  const auto found = std::lower_bound(
      entries.begin(), entries.end(), destination,
      [](const Entry& entry, std::size_t wanted) { return entry.destination < wanted; });
  return found != entries.end() && found->destination == destination ? found->rows : 0;
}

RowCounts RowCounts::transposed() const {
  std::size_t ranks = sources();
  for (const Entry& entry : entries_) ranks = std::max<std::size_t>(ranks, entry.destination + 1);
  RowCounts turned;
  turned.first_.assign(ranks + 1, 0);
  for (const Entry& entry : entries_) ++turned.first_[entry.destination + 1];
  std::partial_sum(turned.first_.begin(), turned.first_.end(), turned.first_.begin());
  turned.entries_.resize(entries_.size());
  std::vector<std::uint64_t> next = turned.first_;
  for (std::size_t source = 0; source < sources(); ++source)
    for (const auto [destination, rows] : of(source))
      turned.entries_[next[destination]++] = {static_cast<std::uint32_t>(source), rows};
  return turned;
}

RowCounts RowCounts::of_matrix(std::span<const std::uint32_t> matrix, std::size_t destinations) {
  RowCounts counts;
  std::vector<std::uint32_t> row(destinations);
  for (std::size_t first = 0; first < matrix.size(); first += destinations) {
    std::copy_n(matrix.begin() + static_cast<std::ptrdiff_t>(first), destinations, row.begin());
    counts.add_source(row);
  }
  return counts;
}

}  // namespace moesim
