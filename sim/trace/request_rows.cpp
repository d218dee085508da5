// Groups trace rows by request: a counting sort over requests numbered by first appearance.
#include "sim/trace/request_rows.h"

#include <numeric>
#include <unordered_map>

namespace moesim {

RequestRows rows_by_request(std::span<const std::int32_t> request,
                            std::span<const std::uint32_t> rows) {
  std::unordered_map<std::int32_t, std::size_t> numbers;
  std::vector<std::size_t> group(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool same = i > 0 && request[rows[i]] == request[rows[i - 1]];
    group[i] =
        same ? group[i - 1] : numbers.emplace(request[rows[i]], numbers.size()).first->second;
  }
  RequestRows result;
  result.first.assign(numbers.size() + 1, 0);
  for (const std::size_t number : group) ++result.first[number + 1];
  std::partial_sum(result.first.begin(), result.first.end(), result.first.begin());
  std::vector<std::size_t> next = result.first;
  result.rows.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) result.rows[next[group[i]]++] = rows[i];
  return result;
}

std::vector<std::uint32_t> all_rows(std::size_t tokens) {
  std::vector<std::uint32_t> rows(tokens);
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

}  // namespace moesim
