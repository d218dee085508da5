// Looking up measured times between measured points.
#include "sim/cost/kernel_table.h"

#include <algorithm>

namespace moesim {
namespace {

// `value_at` gives the value of a map's element, or nothing.
template <class Map, class ValueAt>
std::optional<Seconds> between(const Map& points, double x, const ValueAt& value_at) {
  const auto above = points.lower_bound(x);
  if (above == points.end()) return std::nullopt;
  const std::optional<Seconds> high = value_at(above->second);
  if (above->first == x) return high;
  if (above == points.begin()) return std::nullopt;
  const auto below = std::prev(above);
  const std::optional<Seconds> low = value_at(below->second);
  if (!low || !high) return std::nullopt;
  return *low + (*high - *low) * ((x - below->first) / (above->first - below->first));
}

}  // namespace

KernelTable::KernelTable(const std::vector<TableRow>& rows) {
  for (const TableRow& row : rows) {
    Line& line =
        lines_[{row.accelerator, row.kernel, row.precision, row.point.same}][row.point.at[0]];
    const auto [found, fresh] = line.emplace(row.point.at[1], row.time);
    if (!fresh) found->second = std::min(found->second, row.time);
  }
}

std::optional<Seconds> KernelTable::find(const std::string& accelerator,
                                         const std::string& kernel,
                                         const std::string& precision,
                                         const TablePoint& point) const {
  for (const std::string& measured_on : {accelerator, std::string()}) {
    const auto found = lines_.find({measured_on, kernel, precision, point.same});
    if (found == lines_.end()) continue;
    const auto on_line = [&](const Line& line) {
      return between(line, point.at[1], [](Seconds time) { return std::optional(time); });
    };
    if (const auto time = between(found->second, point.at[0], on_line)) return time;
  }
  return std::nullopt;
}

}  // namespace moesim
