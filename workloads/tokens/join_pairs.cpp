// The merging itself: symbols in a linked list, possible merges in a heap by rank, then place. A
// merge in the heap may be out of date; it is checked against the symbols when its turn comes.
#include <queue>
#include <utility>

#include "workloads/tokens/byte_pair_model.h"

namespace moesim {
namespace {

struct Symbol {
  std::int32_t id = 0;  // -1 = joined to the symbol before it
  std::int32_t before = 0, after = 0;
};

struct Candidate {
  std::int32_t rank = 0, place = 0, id = 0;
  // The heap's top is its greatest, so the least rank, then the leftmost place, is the greatest.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : place > other.place;
  }
};

}  // namespace

void BytePairModel::join_pairs(std::vector<std::int32_t>& ids) const {
  const auto count = static_cast<std::int32_t>(ids.size());
  std::vector<Symbol> symbols(ids.size());
  const auto at = [&](std::int32_t place) -> Symbol& {
    return symbols[static_cast<std::size_t>(place)];
  };
  for (std::int32_t i = 0; i < count; ++i)
    at(i) = {ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1};
  std::vector<Candidate> storage;
  storage.reserve(ids.size());
  std::priority_queue<Candidate> candidates(std::less<Candidate>(), std::move(storage));
  const auto consider = [&](std::int32_t place) {
    if (place < 0 || at(place).after < 0) return;
    const Merge* merge = merge_of(at(place).id, at(at(place).after).id);
    if (merge != nullptr) candidates.push({merge->rank, place, merge->id});
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!candidates.empty()) {
    const Candidate next = candidates.top();
    candidates.pop();
    Symbol& left = at(next.place);
    if (left.id < 0 || left.after < 0) continue;
    Symbol& right = at(left.after);
    const Merge* merge = merge_of(left.id, right.id);
    if (merge == nullptr || merge->id != next.id) continue;
    left.id = next.id;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) at(left.after).before = next.place;
    consider(left.before);
    consider(next.place);
  }
  ids.clear();
  for (const Symbol& symbol : symbols)
    if (symbol.id >= 0) ids.push_back(symbol.id);
}

}  // namespace moesim
