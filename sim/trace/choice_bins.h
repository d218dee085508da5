// ChoiceBins: counts how often each layer of trace rows chooses each expert.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace moesim {

// Bins lie layer by layer: one an expert, and a last one for all other ids. Between two choices of
// one layer stand those of all others, so a count seldom waits for its own last change.
class ChoiceBins {
 public:
  ChoiceBins(std::size_t layers, std::size_t top_k, std::size_t experts)
      : of_layer_(experts + 1),
        last_(static_cast<std::uint16_t>(experts)),
        first_(layers * top_k),
        bin_(first_.size()) {
    for (std::size_t i = 0; i < first_.size(); ++i)
      first_[i] = static_cast<std::uint32_t>(i / top_k * of_layer_);
  }
  std::size_t of_layer() const { return of_layer_; }

  // A row's choices, layer by layer.
  template <class Count>
  void add(const std::uint16_t* choices, Count* counts) {
    for (std::size_t i = 0; i < bin_.size(); ++i) bin_[i] = first_[i] + std::min(choices[i], last_);
    for (const std::uint32_t bin : bin_) ++counts[bin];
  }
  // Whether some id that was counted is no expert's.
  template <class Count>
  bool odd(const Count* counts) const {
    const std::size_t bins = first_.empty() ? 0 : first_.back() + of_layer_;
    for (std::size_t last = of_layer_ - 1; last < bins; last += of_layer_)
      if (counts[last] > 0) return true;
    return false;
  }

 private:
  std::size_t of_layer_;
  std::uint16_t last_;
  std::vector<std::uint32_t> first_, bin_;  // by choice of a row
};

}  // namespace moesim
