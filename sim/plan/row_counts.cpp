// Sparse rows, source after source.
#include "sim/plan/row_counts.h"

#include <algorithm>
#include <numeric>

namespace moesim {

// Which destinations get rows is as good as random, so a branch on it would be guessed wrong.
void RowCounts::add_source(std::span<std::uint32_t> rows) {
  source_.resize(rows.size());
  std::size_t some = 0;
  for (std::size_t destination = 0; destination < rows.size(); ++destination) {
    source_[some] = {static_cast<std::uint32_t>(destination), rows[destination]};
    some += rows[destination] != 0 ? 1 : 0;
  }
  std::fill(rows.begin(), rows.end(), 0);
  entries_.insert(entries_.end(), source_.begin(),
                  source_.begin() + static_cast<std::ptrdiff_t>(some));
  first_.push_back(entries_.size());
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
