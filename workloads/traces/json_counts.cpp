// Rows of counts from JSON into a table of counts.
#include "workloads/traces/json_counts.h"

#include <fmt/format.h>

namespace moesim {
namespace {

constexpr std::size_t kMostDomains = 256;
constexpr std::int64_t kMostCount = std::int64_t{1} << 42U;

// The first domain says how many layers and experts there are.
void set_shape(CountTable& table, const std::vector<JsonNode>& rows) {
  table.layers = rows.size();
  table.experts = rows.front().items().size();
  if (table.experts < 1 || table.experts > kMostCountedExperts)
    rows.front().fail(
        fmt::format("{} counts, allowed: 1 to {}", table.experts, kMostCountedExperts));
}

}  // namespace

void add_count_rows(CountTable& table,
                    const std::string& domain,
                    const std::vector<JsonNode>& rows,
                    const JsonNode& place) {
  if (rows.empty()) place.fail("holds no layer");
  if (table.groups.size() == kMostDomains)
    place.fail(fmt::format("is one domain too many, allowed: {}", kMostDomains));
  if (table.groups.empty()) set_shape(table, rows);
  const std::size_t layers = table.layer_ids.empty() ? table.layers : table.layer_ids.size();
  if (rows.size() != layers || rows.size() != table.layers)
    place.fail(fmt::format("has {} layers, expected {}", rows.size(), layers));
  CountGroup group;
  group.domain = static_cast<std::uint8_t>(table.groups.size());
  group.counts.reserve(table.layers * table.experts);
  for (const JsonNode& row : rows) {
    const std::vector<JsonNode> counts = row.items();
    if (counts.size() != table.experts)
      row.fail(
          fmt::format("has {} counts, expected {}, one an expert", counts.size(), table.experts));
    for (const JsonNode& count : counts) group.counts.push_back(count.as_int(0, kMostCount));
  }
  table.domains.push_back(domain);
  table.groups.push_back(std::move(group));
}

}  // namespace moesim
