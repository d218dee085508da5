// Sparse rows, source after source.
#include "sim/plan/row_counts.h"

#include <algorithm>

namespace moesim {

void RowCounts::add_source(std::span<std::uint32_t> rows) {
  for (std::size_t destination = 0; destination < rows.size(); ++destination) {
    if (rows[destination] == 0) continue;
    entries_.push_back({static_cast<std::uint32_t>(destination), rows[destination]});
    rows[destination] = 0;
  }
  first_.push_back(entries_.size());
}

void RowCounts::clear() {
  first_.assign(1, 0);
  entries_.clear();
}

std::uint32_t RowCounts::at(std::size_t source, std::size_t destination) const {
  const std::span<const Entry> entries = of(source);
  const auto found = std::lower_bound(
      entries.begin(), entries.end(), destination,
      [](const Entry& entry, std::size_t wanted) { return entry.destination < wanted; });
  return found != entries.end() && found->destination == destination ? found->rows : 0;
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
