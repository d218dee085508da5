// Sparse attention: a small part beside the attention chooses which keys each query sees.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "workloads/forward/attention.h"

namespace moesim {

// For each new token of a segment, and each group of heads, the units (a key, or a block of
// neighbouring keys) it sees; empty = all. Causality comes on top of it.
class KeyMask {
 public:
  KeyMask() = default;
  KeyMask(std::int64_t tokens, std::int64_t groups, std::int64_t units, std::int64_t unit_size)
      : groups_(groups),
        units_(units),
        unit_size_(unit_size),
        chosen_(static_cast<std::size_t>(tokens * groups * units)) {}

  bool empty() const { return chosen_.empty(); }
  std::int64_t groups() const { return groups_; }

  // [units] of one token and group; nonzero = seen.
  std::span<std::uint8_t> row(std::int64_t token, std::int64_t group) {
    return {chosen_.data() + (token * groups_ + group) * units_, static_cast<std::size_t>(units_)};
  }
  bool sees(std::int64_t token, std::int64_t group, std::int64_t key) const {
    return chosen_[static_cast<std::size_t>((token * groups_ + group) * units_ +
                                            key / unit_size_)] != 0;
  }

  // scores[i] = -infinity where the key at first_key + i is not seen.
  void hide(std::int64_t token,
            std::int64_t group,
            std::int64_t first_key,
            std::span<float> scores) const;

 private:
  std::int64_t groups_ = 0, units_ = 0, unit_size_ = 1;
  std::vector<std::uint8_t> chosen_;  // [tokens][groups][units]
};

// State of an attention that may have a selector: what the selector remembers, and its choice for
// the step under way.
struct SelectingState : KeyValueState {
  std::unique_ptr<PartState> selector;
  KeyMask mask;
};

class KeySelector {
 public:
  virtual ~KeySelector() = default;
  virtual std::unique_ptr<PartState> new_state() const = 0;
  // Sets the mask of every state (SelectingState) for the step's tokens. x [tokens][hidden] is what
  // the attention gets; query_latent [tokens][rank] its normalised compressed queries, if any.
  virtual void select(const ForwardStep& step,
                      const ConstMatrix& x,
                      const ConstMatrix& query_latent,
                      PartStates states) const = 0;
};

// A SelectingState for an attention with this selector (null: none).
std::unique_ptr<PartState> new_selecting_state(const KeySelector* selector);

// The rules of an attention for one segment with the choice in `state` added; they point into
// `state`. Heads are spread evenly over the mask's groups.
AttentionRules with_selection(AttentionRules rules,
                              const Segment& segment,
                              std::int64_t heads,
                              const SelectingState& state);

// What a lightning indexer (DeepSeek-V3.2's report, section 2.1) knows of a segment: the score of a
// key is the sum over heads of weight * max(0, query . key).
struct IndexQueries {
  ConstMatrix queries;  // [tokens][heads * key size], rotated
  ConstMatrix weights;  // [tokens][heads]
  ConstMatrix keys;     // [keys][key size]
  std::int64_t top_k = 0;
  std::function<std::int64_t(std::int64_t token)> visible;  // a token sees keys 0 .. this - 1
};
// The top_k best visible keys of every token, equal scores by position; all when there are fewer.
KeyMask choose_keys(ThreadPool& pool, const IndexQueries& index);

// Marks the top_k largest scores; equal ones by position.
void mark_largest(std::span<const float> scores,
                  std::int64_t top_k,
                  std::span<std::uint8_t> chosen);

}  // namespace moesim
