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

// A word's symbols in a linked list.
class Symbols {
 public:
  explicit Symbols(const std::vector<std::int32_t>& ids) : symbols_(ids.size()) {
    const auto count = static_cast<std::int32_t>(ids.size());
    for (std::int32_t i = 0; i < count; ++i)
      at(i) = {ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1};
  }

  Symbol& at(std::int32_t place) { return symbols_[static_cast<std::size_t>(place)]; }
  bool begins_pair(std::int32_t place) {
    return place >= 0 && at(place).id >= 0 && at(place).after >= 0;
  }
  std::int32_t id_after(std::int32_t place) { return at(at(place).after).id; }

  // The symbol and the one after it become one.
  void join(std::int32_t place, std::int32_t id) {
    Symbol& left = at(place);
    Symbol& right = at(left.after);
    left.id = id;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) at(left.after).before = place;
  }

  std::vector<std::int32_t> ids() const {
    std::vector<std::int32_t> ids;
    ids.reserve(symbols_.size());
    for (const Symbol& symbol : symbols_)
      if (symbol.id >= 0) ids.push_back(symbol.id);
    return ids;
  }

 private:
  std::vector<Symbol> symbols_;
};

}  // namespace

void BytePairModel::join_pairs(std::vector<std::int32_t>& ids) const {
  Symbols symbols(ids);
  std::vector<Candidate> storage;
  storage.reserve(ids.size());
  std::priority_queue<Candidate> candidates(std::less<Candidate>(), std::move(storage));
  const auto consider = [&](std::int32_t place) {
    if (!symbols.begins_pair(place)) return;
    const Merge* merge = merge_of(symbols.at(place).id, symbols.id_after(place));
    if (merge != nullptr) candidates.push({merge->rank, place, merge->id});
  };
  for (std::size_t i = 0; i < ids.size(); ++i) consider(static_cast<std::int32_t>(i));
  while (!candidates.empty()) {
    const Candidate next = candidates.top();
    candidates.pop();
    if (!symbols.begins_pair(next.place)) continue;
    const Merge* merge = merge_of(symbols.at(next.place).id, symbols.id_after(next.place));
    if (merge == nullptr || merge->id != next.id) continue;
    symbols.join(next.place, next.id);
    consider(symbols.at(next.place).before);
    consider(next.place);
  }
  ids = symbols.ids();
}

}  // namespace moesim
