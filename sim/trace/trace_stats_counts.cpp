// Counts loads and neighbours' first choices in one pass over the rows. Every thread counts in
// tables of its own, small enough to stay in the cache; sums of whole numbers have no order.
#include "sim/trace/trace_stats_counts.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "sim/trace/trace_laws.h"

namespace moesim {
namespace {

constexpr std::size_t kBlockRows = 1024;
constexpr std::size_t kFlushedCopies = std::size_t{1} << 31;  // counters of a thread hold 32 bits

// Largest of id + 1 in 16 bits: kNotRouted wraps round to 0, so this is at most `experts` in a row
// that keeps the law.
std::uint16_t largest_id(std::span<const std::uint16_t> row) {
  std::uint16_t largest = 0;
  for (const std::uint16_t id : row)
    largest = std::max(largest, static_cast<std::uint16_t>(id + 1));
  return largest;
}

class Counter {
 public:
  Counter(const RoutingTrace& trace, std::span<const std::uint32_t> next)
      : trace_(trace),
        next_(next),
        layers_(trace.moe_layers()),
        labels_(trace.header.domains.size() * 2),
        cells_(static_cast<std::size_t>(trace.header.experts) + 1),
        top_k_(static_cast<std::size_t>(trace.header.top_k)),
        loads_(labels_ * layers_ * cells_, 0),
        before_(next.empty() ? 0 : layers_ * cells_, 0),
        after_(before_),
        same_(layers_, 0) {}

  // False when a row has an id beyond the header's.
  bool add_rows(std::size_t first, std::size_t end) {
    for (std::size_t row = first; row < end; ++row) {
      if (!add_loads(row)) return false;
      if (!next_.empty() && next_[row] != kNoRow) add_first_choices(row, next_[row]);
    }
    added_ += (end - first) * top_k_;
    return true;
  }
  bool full() const { return added_ >= kFlushedCopies; }

  // Adds to the totals and starts anew.
  void flush_into(TraceCounts& totals) {
    for (std::size_t layer = 0; layer < layers_; ++layer) {
      for (std::size_t label = 0; label < labels_; ++label)
        add_up(&loads_[(label * layers_ + layer) * cells_], totals.loads[layer][label]);
      if (next_.empty()) continue;
      FirstChoices& choices = totals.first_choices[layer];
      add_up(&before_[layer * cells_], choices.before);
      add_up(&after_[layer * cells_], choices.after);
      choices.same += same_[layer];
    }
    for (auto* table : {&loads_, &before_, &after_}) std::fill(table->begin(), table->end(), 0U);
    std::fill(same_.begin(), same_.end(), 0U);
    added_ = 0;
  }

 private:
  static void add_up(const std::uint32_t* counts, std::vector<std::uint64_t>& totals) {
    for (std::size_t i = 0; i < totals.size(); ++i) totals[i] += counts[i];
  }

  bool add_loads(std::size_t row) {
    const std::size_t per_row = layers_ * top_k_;
    const auto ids = trace_.experts.subspan(row * per_row, per_row);
    if (largest_id(ids) >= cells_) return false;
    const std::size_t label = trace_.domain[row] * std::size_t{2} + trace_.phase[row];
    std::uint32_t* of_layer = &loads_[label * layers_ * cells_];
    const std::uint16_t* id = ids.data();
    const auto not_routed = static_cast<std::uint16_t>(cells_ - 1);
    for (std::size_t layer = 0; layer < layers_; ++layer, of_layer += cells_, id += top_k_)
      for (std::size_t k = 0; k < top_k_; ++k) ++of_layer[std::min(id[k], not_routed)];
    return true;
  }

  void add_first_choices(std::size_t row, std::size_t next) {
    const std::size_t per_row = layers_ * top_k_;
    const std::uint16_t* a = &trace_.experts[row * per_row];
    const std::uint16_t* b = &trace_.experts[next * per_row];
    for (std::size_t layer = 0; layer < layers_; ++layer, a += top_k_, b += top_k_) {
      // A row not yet checked may hold any id; add_rows refuses the trace when it comes to it.
      if (*a >= cells_ - 1 || *b >= cells_ - 1) continue;
      ++before_[layer * cells_ + *a];
      ++after_[layer * cells_ + *b];
      same_[layer] += *a == *b ? 1U : 0U;
    }
  }

  const RoutingTrace& trace_;
  std::span<const std::uint32_t> next_;
  std::size_t layers_, labels_, cells_, top_k_;
  std::vector<std::uint32_t> loads_;  // [label][layer][expert, then not routed]
  std::vector<std::uint32_t> before_, after_;
  std::vector<std::uint32_t> same_;
  std::size_t added_ = 0;
};

TraceCounts empty_counts(const RoutingTrace& trace, bool with_first_choices) {
  const auto experts = static_cast<std::size_t>(trace.header.experts);
  TraceCounts counts;
  const std::vector<std::uint64_t> none(experts, 0);
  counts.loads.assign(trace.moe_layers(), std::vector<std::vector<std::uint64_t>>(
                                              trace.header.domains.size() * 2, none));
  if (with_first_choices) counts.first_choices.assign(trace.moe_layers(), {none, none, 0});
  return counts;
}

void add_load(std::vector<std::uint64_t>& into, const std::vector<std::uint64_t>& from) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += from[i];
}

void add_counts(TraceCounts& into, const TraceCounts& from) {
  for (std::size_t layer = 0; layer < into.loads.size(); ++layer)
    for (std::size_t label = 0; label < into.loads[layer].size(); ++label)
      add_load(into.loads[layer][label], from.loads[layer][label]);
  for (std::size_t layer = 0; layer < into.first_choices.size(); ++layer) {
    add_load(into.first_choices[layer].before, from.first_choices[layer].before);
    add_load(into.first_choices[layer].after, from.first_choices[layer].after);
    into.first_choices[layer].same += from.first_choices[layer].same;
  }
}

}  // namespace

std::vector<std::uint32_t> next_rows(const RoutingTrace& trace, const RequestRows& requests) {
  std::vector<std::uint32_t> next(trace.tokens(), kNoRow);
  for (std::size_t request = 0; request < requests.requests(); ++request) {
    const auto rows = requests.of(request);
    for (std::size_t i = 1; i < rows.size(); ++i)
      if (trace.position[rows[i]] == trace.position[rows[i - 1]] + 1) next[rows[i - 1]] = rows[i];
  }
  return next;
}

TraceCounts count_trace(const RoutingTrace& trace,
                        std::span<const std::uint32_t> next,
                        int threads) {
  const auto count = static_cast<std::size_t>(std::max(1, threads));
  std::vector<Counter> counters(count, Counter(trace, next));
  std::vector<TraceCounts> totals(count, empty_counts(trace, !next.empty()));
  std::atomic<std::size_t> next_block{0};
  std::atomic<bool> wrong{false};
  const auto work = [&](std::size_t thread) {
    Counter& counter = counters[thread];
    for (std::size_t row; (row = next_block.fetch_add(kBlockRows)) < trace.tokens() && !wrong;) {
      if (!counter.add_rows(row, std::min(row + kBlockRows, trace.tokens()))) wrong = true;
      if (counter.full()) counter.flush_into(totals[thread]);
    }
    counter.flush_into(totals[thread]);
  };
  std::vector<std::thread> pool;
  for (std::size_t i = 1; i < count; ++i) pool.emplace_back(work, i);
  work(0);
  for (std::thread& thread : pool) thread.join();
  if (wrong) check_routing(trace, {});  // throws at the first wrong id
  for (std::size_t thread = 1; thread < count; ++thread) add_counts(totals[0], totals[thread]);
  return std::move(totals[0]);
}

TraceLoads trace_loads(const RoutingTrace& trace, int threads) {
  return count_trace(trace, {}, threads).loads;
}

}  // namespace moesim
