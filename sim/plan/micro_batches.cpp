// Walks a rank's entries once and closes a part when it has its share of the tokens.
#include "sim/plan/micro_batches.h"

#include <algorithm>

namespace moesim {
namespace {

// The tokens first .. last - 1 of one rank's entries.
std::vector<BatchEntry> entries_between(const std::vector<BatchEntry>& entries,
                                        std::size_t first,
                                        std::size_t last) {
  std::vector<BatchEntry> taken;
  std::size_t begin = 0;
  for (const BatchEntry& entry : entries) {
    const std::size_t end = begin + static_cast<std::size_t>(entry.new_tokens);
    const std::size_t from = std::max(begin, first), to = std::min(end, last);
    if (from < to) {
      BatchEntry part = entry;
      part.new_tokens = static_cast<int>(to - from);
      part.context += static_cast<int>(from - begin);
      taken.push_back(part);
    }
    begin = end;
  }
  return taken;
}

}  // namespace

std::vector<Batch> cut_batch(const Batch& batch, int parts) {
  std::vector<Batch> cut(static_cast<std::size_t>(parts));
  for (std::size_t part = 0; part < cut.size(); ++part) {
    const auto share = [&](std::size_t tokens, std::size_t of) {
      return (tokens * of + cut.size() - 1) / cut.size();
    };
    for (std::size_t group = 0; group < batch.rows.size(); ++group) {
      const auto& rows = batch.rows[group];
      const std::size_t first = share(rows.size(), part), last = share(rows.size(), part + 1);
      cut[part].rows.emplace_back(rows.begin() + static_cast<std::ptrdiff_t>(first),
                                  rows.begin() + static_cast<std::ptrdiff_t>(last));
      cut[part].by_rank.push_back(entries_between(batch.by_rank[group], first, last));
    }
  }
  return cut;
}

}  // namespace moesim
