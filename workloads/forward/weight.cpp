// Weights by ranges of their parts' rows.
#include "workloads/forward/weight.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"

namespace moesim {
namespace {

[[noreturn]] void refuse_element(const Weight::Part& part,
                                 std::int64_t row,
                                 std::int64_t column,
                                 float value) {
  const std::int64_t within =
      part.transposed ? column * part.matrix.stride + row : row * part.matrix.stride + column;
  throw InputError(fmt::format("{}: element {} is {}; weights must be finite", part.label,
                               part.first_element + within, value));
}

bool all_finite(const FewRows& operands, std::int64_t count) {
  bool finite = true;
  for (std::int64_t t = 0; t < operands.x_rows; ++t)
    for (std::int64_t n = 0; n < count; ++n)
      finite &= std::isfinite(operands.y[t * operands.y_stride + n]);
  return finite;
}

}  // namespace

Weight::Weight(std::vector<Part> parts, std::int64_t columns, Keep keep)
    : parts_(std::move(parts)), columns_(columns), keep_(keep) {
  for (const Part& part : parts_) rows_ += part.rows;
  if (keep_ != Keep::resident) return;
  Floats expanded(static_cast<std::size_t>(rows_ * columns_));
  expand_to(0, rows_, expanded.data());
  resident_ = std::move(expanded);
}

std::vector<Weight::Range> Weight::ranges(std::int64_t first, std::int64_t count) const {
  std::vector<Range> found;
  found.reserve(parts_.size());
  for (const Part& part : parts_) {
    const std::int64_t begin = std::max<std::int64_t>(first, 0);
    const std::int64_t end = std::min(first + count, part.rows);
    if (begin < end) found.push_back({part, begin, end - begin});
    first -= part.rows;
  }
  return found;
}

const float* Weight::expand(std::int64_t first, std::int64_t count, Floats& buffer) const {
  if (!resident_.empty()) return resident_.data() + first * columns_;
  float* out = at_least(buffer, static_cast<std::size_t>(count * columns_));
  expand_to(first, count, out);
  return out;
}

void Weight::expand_to(std::int64_t first, std::int64_t count, float* out) const {
  for (const Range& range : ranges(first, count)) {
    expand_range(range, out);
    out += range.count * columns_;
  }
}

void Weight::expand_range(const Range& range, float* out) const {
  const StoredRows rows{range.part.matrix, range.first, range.count, columns_};
  if (range.part.transposed ? expand_transposed(rows, out) : expand_rows(rows, out)) return;
  const float* begin = out;
  const float* end = out + range.count * columns_;
  const float* found = std::find_if(begin, end, [](float value) { return !std::isfinite(value); });
  const std::int64_t at = found - out;
  refuse_element(range.part, range.first + at / columns_, at % columns_, *found);
}

void Weight::multiply(std::int64_t first,
                      std::int64_t count,
                      const FewRows& operands,
                      Floats& buffer) const {
  FewRows rest = operands;
  for (const Range& range : ranges(first, count)) {
    if (!range.part.transposed) {
      multiply_rows({range.part.matrix, range.first, range.count, columns_}, rest);
    } else {
      float* expanded = at_least(buffer, static_cast<std::size_t>(range.count * columns_));
      expand_range(range, expanded);
      StoredMatrix matrix;
      matrix.data = reinterpret_cast<const std::byte*>(expanded);
      matrix.stride = columns_;
      multiply_rows({matrix, 0, range.count, columns_}, rest);
    }
    // Not finite: a weight is to blame, or x is.
    if (!all_finite(rest, range.count)) {
      Floats checked(static_cast<std::size_t>(range.count * columns_));
      expand_range(range, checked.data());
    }
    rest.y += range.count;
  }
}

void Weight::fetch() const { advise(MADV_WILLNEED); }
void Weight::release() const { advise(MADV_DONTNEED); }

// Whole pages inside the parts' bytes: a page that another tensor shares stays.
void Weight::advise(int advice) const {
  if (keep_ != Keep::passing) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  for (const Part& part : parts_) {
    const std::int64_t rows = part.transposed ? columns_ : part.rows;
    const auto begin =
        (reinterpret_cast<std::uintptr_t>(part.matrix.row(0)) + page - 1) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(part.matrix.row(rows)) / page * page;
    // Only advice: a failure changes nothing but speed.
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
  }
}

}  // namespace moesim
