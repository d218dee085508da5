// Rows of a trace by traced request, however the requests are interleaved in it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moesim {

// Requests in order of first appearance; the rows of request i, ascending, are of(i).
struct RequestRows {
  std::vector<std::uint32_t> rows;
  std::vector<std::size_t> first;  // into rows; requests() + 1 values

  std::size_t requests() const { return first.size() - 1; }
  std::span<const std::uint32_t> of(std::size_t request) const {
    return std::span(rows).subspan(first[request], first[request + 1] - first[request]);
  }
};

// `request` is the trace's column, `rows` the ascending rows to group.
RequestRows rows_by_request(std::span<const std::int32_t> request,
                            std::span<const std::uint32_t> rows);

std::vector<std::uint32_t> all_rows(std::size_t tokens);  // 0, 1, ..., tokens - 1

}  // namespace moesim
