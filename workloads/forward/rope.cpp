// Tables of cosines and sines, and the rotation.
#include "workloads/forward/rope.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace moesim {
namespace {

// Lengths with the same frequencies share a table: all of them, unless the rule looks at the
// length.
std::int64_t table_key(const RopeParameters& parameters, std::int64_t length) {
  const bool beyond = static_cast<double>(length) > parameters.original_positions;
  if (parameters.kind == RopeKind::longrope) return beyond ? 1 : 0;
  return parameters.kind == RopeKind::dynamic_ntk && beyond ? length : 0;
}

}  // namespace

Rope::Rope(const RopeParameters& parameters) : parameters_(parameters) {}

std::shared_ptr<const RopeTable> Rope::table(std::int64_t length) {
  const std::int64_t key = table_key(parameters_, length);
  // A decode beyond dynamic_ntk's length makes a table a step; the last few are all that is read.
  constexpr std::size_t kMostTables = 64;
  if (tables_.size() > kMostTables && tables_.count(key) == 0) tables_.clear();
  std::shared_ptr<RopeTable>& table = tables_[key];
  if (!table) {
    table = std::make_shared<RopeTable>();
    table->frequencies_ = rope_frequencies(parameters_, length);
    table->half_ = table->frequencies_.radians.size();
    table->interleaved_ = parameters_.interleaved;
  }
  table->extend(length);
  return table;
}

void RopeTable::extend(std::int64_t end) {
  for (; positions_ < end; ++positions_)
    for (const float frequency : frequencies_.radians) {
      const float angle = static_cast<float>(positions_) * frequency;
      cosines_.push_back(std::cos(angle) * frequencies_.amplitude);
      sines_.push_back(std::sin(angle) * frequencies_.amplitude);
    }
}

void RopeTable::rotate(float* x, std::int64_t position) const {
  const float* cosine = cosines_.data() + static_cast<std::size_t>(position) * half_;
  const float* sine = sines_.data() + static_cast<std::size_t>(position) * half_;
  if (interleaved_) {  // first members to the front half, second members behind
    std::array<float, kLargestRopeDims / 2> seconds{};
    for (std::size_t i = 0; i < half_; ++i) {
      seconds[i] = x[2 * i + 1];
      x[i] = x[2 * i];
    }
    std::copy_n(seconds.data(), half_, x + half_);
  }
  for (std::size_t i = 0; i < half_; ++i) {
    const float first = x[i], second = x[half_ + i];
    x[i] = first * cosine[i] - second * sine[i];
    x[half_ + i] = second * cosine[i] + first * sine[i];
  }
}

void RopeTable::rotate_back(float* x, std::int64_t position) const {
  const float* cosine = cosines_.data() + static_cast<std::size_t>(position) * half_;
  const float* sine = sines_.data() + static_cast<std::size_t>(position) * half_;
  for (std::size_t i = 0; i < half_; ++i) {
    const float first = x[i], second = x[half_ + i];
    x[i] = first * cosine[i] + second * sine[i];
    x[half_ + i] = second * cosine[i] - first * sine[i];
  }
}

}  // namespace moesim
