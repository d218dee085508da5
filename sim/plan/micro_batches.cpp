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

// New tokens of the first `of` of `parts` parts.
std::size_t share(std::size_t tokens, std::size_t of, std::size_t parts, std::size_t together) {
  return of == parts ? tokens : (tokens / together * of + parts - 1) / parts * together;
}

}  // namespace

std::size_t largest_part(std::size_t tokens, int parts, int together) {
  return share(tokens, 1, static_cast<std::size_t>(parts), static_cast<std::size_t>(together));
}

std::vector<BatchEntry> leading_entries(const std::vector<BatchEntry>& entries,
                                        std::size_t tokens) {
  return entries_between(entries, 0, tokens);
}

std::vector<Batch> cut_batch(const Batch& batch, int parts, int together) {
  std::vector<Batch> cut(static_cast<std::size_t>(parts));
  for (std::size_t part = 0; part < cut.size(); ++part) {
    const auto before = [&](std::size_t tokens, std::size_t of) {
      return share(tokens, of, cut.size(), static_cast<std::size_t>(together));
    };
    for (std::size_t group = 0; group < batch.rows.size(); ++group) {
      const auto& rows = batch.rows[group];
      const std::size_t first = before(rows.size(), part), last = before(rows.size(), part + 1);
      cut[part].rows.emplace_back(rows.begin() + static_cast<std::ptrdiff_t>(first),
                                  rows.begin() + static_cast<std::ptrdiff_t>(last));
      cut[part].by_rank.push_back(entries_between(batch.by_rank[group], first, last));
    }
  }
  return cut;
}

}  // namespace moesim
