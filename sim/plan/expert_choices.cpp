// Threads take DP ranks in turn; every source has counts of its own, so nothing is shared.
#include "sim/plan/expert_choices.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

#include "sim/core/error.h"
#include "sim/core/on_threads.h"
#include "sim/trace/choice_bins.h"

namespace moesim {
namespace {

[[noreturn]] void refuse(const RoutingTrace& trace, std::size_t row, std::size_t layer, int id) {
  throw InputError("trace of " + trace.header.model + ": tensor experts, row " +
                   std::to_string(row) + ", layer " + std::to_string(layer) + " holds expert " +
                   std::to_string(id) + "; the header says " +
                   std::to_string(trace.header.experts) + " experts (0 to " +
                   std::to_string(trace.header.experts - 1) + ")");
}

// Throws for the first id of the rows that is no expert; returns when all others were kNotRouted.
// NOLINTNEXTLINE(readability-function-cognitive-complexity): four plain loops and one test
void check_ids(const RoutingInputs& inputs, std::size_t first_layer, std::size_t layers) {
  for (const std::vector<std::uint32_t>& rows : inputs.batch.rows)
    for (const std::uint32_t row : rows)
      for (std::size_t layer = first_layer; layer < first_layer + layers; ++layer)
        for (const std::uint16_t expert : inputs.trace.choice(row, layer))
          if (expert >= inputs.trace.header.experts && expert != kNotRouted)
            refuse(inputs.trace, row, layer, expert);
}

std::size_t top_k_of(const RoutingInputs& inputs) {
  return static_cast<std::size_t>(inputs.trace.header.top_k);
}

// Some layers' choices in the rows of a batch.
class Rows {
 public:
  Rows(const RoutingInputs& inputs, std::size_t first_layer, std::size_t choices)
      : inputs_(inputs), first_layer_(first_layer), choices_(choices) {}

  const std::uint16_t* choices(std::uint32_t row) const {
    return inputs_.trace.choice(row, first_layer_).data();
  }
  // Rows stand in an order the hardware cannot guess; which come next is known, also those of the
  // DP ranks to come.
  void fetch_ahead(std::size_t group, std::size_t token, std::size_t step) const {
    constexpr std::size_t kCacheLine = 64 / sizeof(std::uint16_t), kChoicesAhead = 1536;
    const auto& groups = inputs_.batch.rows;
    token += step * (1 + kChoicesAhead / choices_);
    while (group < groups.size() && token >= groups[group].size()) token -= groups[group++].size();
    if (group == groups.size()) return;
    const std::uint16_t* const next = choices(groups[group][token]);
    for (std::size_t i = 0; i < choices_; i += kCacheLine) __builtin_prefetch(next + i);
  }

  // Those of a DP rank, one rank of its tensor-parallel group after the other, `of_source` counts
  // each. Whether an id is no expert's.
  template <class Count>
  bool count(std::size_t group, ChoiceBins& bins, Count* counts, std::size_t of_source) const {
    const auto tensor = static_cast<std::size_t>(inputs_.plan.parallelism.tensor);
    const std::vector<std::uint32_t>& rows = inputs_.batch.rows[group];
    bool odd = false;
    for (std::size_t member = 0; member < tensor; ++member, counts += of_source) {
      for (std::size_t token = member; token < rows.size(); token += tensor) {
        fetch_ahead(group, token, tensor);
        bins.add(choices(rows[token]), counts);
      }
      odd = bins.odd(counts) || odd;
    }
    return odd;
  }

 private:
  const RoutingInputs& inputs_;
  std::size_t first_layer_, choices_;
};

// Routed choices by place in a row.
class RoutedCounter {
 public:
  explicit RoutedCounter(std::size_t choices) : few_(choices), all_(choices) {}

  void add(const Rows& from, std::span<const std::uint32_t> rows) {
    constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max();
    for (; !rows.empty(); rows = rows.subspan(std::min(kMost, rows.size()))) {
      for (const std::uint32_t row : rows.first(std::min(kMost, rows.size()))) {
        const std::uint16_t* const choices = from.choices(row);
        for (std::size_t i = 0; i < few_.size(); ++i)
          few_[i] = static_cast<std::uint16_t>(few_[i] + (choices[i] != kNotRouted ? 1 : 0));
      }
      for (std::size_t i = 0; i < few_.size(); ++i) all_[i] += few_[i];
      std::fill(few_.begin(), few_.end(), std::uint16_t{0});
    }
  }
  void add_to(std::vector<std::int64_t>& by_layer) const {
    for (std::size_t i = 0; i < all_.size(); ++i)
      by_layer[i * by_layer.size() / all_.size()] += all_[i];
  }

 private:
  std::vector<std::uint16_t> few_;
  std::vector<std::int64_t> all_;
};

}  // namespace

ExpertChoices::ExpertChoices(const RoutingInputs& inputs,
                             std::size_t first_layer,
                             std::size_t layers,
                             std::size_t threads)
    : first_layer_(first_layer),
      layers_(layers),
      bins_(static_cast<std::size_t>(inputs.trace.header.experts) + 1),
      routed_(layers) {
  const auto tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor);
  std::size_t most = 0;
  for (const std::vector<std::uint32_t>& rows : inputs.batch.rows) {
    for (std::size_t member = 0; member < tensor; ++member)
      tokens_.push_back(static_cast<std::uint32_t>((rows.size() + tensor - 1 - member) / tensor));
    most = std::max(most, rows.size());
  }
  if (most * top_k_of(inputs) <= std::numeric_limits<std::uint16_t>::max()) {
    count_groups(inputs, threads, narrow_);
  } else {
    count_groups(inputs, threads, wide_);
  }
}

std::size_t ExpertChoices::layers_at_once(const RoutingInputs& inputs, std::size_t threads) {
  constexpr std::size_t kMostBytes = 17U << 20U;
  const auto experts = static_cast<std::size_t>(inputs.trace.header.experts);
  const auto ranks = static_cast<std::size_t>(inputs.plan.parallelism.ranks);
  const std::size_t layers = kMostBytes / (ranks * (experts + 1) * sizeof(std::uint16_t));
  return layers < threads ? std::max<std::size_t>(layers, 1) : layers / threads * threads;
}

void ExpertChoices::add(std::size_t layer,
                        std::size_t source,
                        std::span<std::uint32_t> by_expert) const {
  const std::size_t first = (source * layers_ + layer) * bins_;
  const auto add_all = [&](const auto& counts) {
    for (std::size_t expert = 0; expert + 1 < bins_; ++expert)
      by_expert[expert] += counts[first + expert];
  };
  if (wide_.empty()) {
    add_all(narrow_);
  } else {
    add_all(wide_);
  }
}

template <class Count>
void ExpertChoices::count_groups(const RoutingInputs& inputs,
                                 std::size_t threads,
                                 std::vector<Count>& counts) {
  constexpr std::size_t kTurns = 8;  // a thread takes groups: their rows are fetched ahead
  const std::size_t groups = inputs.batch.rows.size(), of_source = layers_ * bins_,
                    tensor = static_cast<std::size_t>(inputs.plan.parallelism.tensor),
                    choices = layers_ * top_k_of(inputs),
                    together = std::max<std::size_t>(groups / (threads * kTurns), 1);
  counts.resize(tokens_.size() * of_source);
  std::vector<RoutedCounter> routed(threads, RoutedCounter(choices));
  std::atomic<std::size_t> next{0};
  std::atomic<bool> odd_ids{false};
  on_threads(threads, [&](std::size_t thread) {
    const Rows from(inputs, first_layer_, choices);
    ChoiceBins bins(layers_, top_k_of(inputs), bins_ - 1);
    for (std::size_t first; (first = next.fetch_add(together)) < groups;)
      for (std::size_t group = first; group < std::min(first + together, groups); ++group) {
        if (from.count(group, bins, &counts[group * tensor * of_source], of_source)) odd_ids = true;
        routed[thread].add(from, inputs.batch.rows[group]);
      }
  });
  for (const RoutedCounter& of_thread : routed) of_thread.add_to(routed_);
  if (odd_ids) check_ids(inputs, first_layer_, layers_);
}

}  // namespace moesim
