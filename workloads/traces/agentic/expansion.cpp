// Counts, batches and the trace of an expanded workload: all walk the schedule's entries.
#include "workloads/traces/agentic/expansion.h"

#include <algorithm>
#include <utility>

#include "sim/core/error.h"
#include "sim/trace/streamed_trace.h"

namespace moesim {
namespace {

constexpr std::size_t kMostRowsAtOnce = 1024;

// Calls use(text, first position, tokens) for each text that the entry's tokens lie in.
template <class Use>
void for_each_text(const AgenticRequest& request, const AgenticEntry& entry, const Use& use) {
  const std::int64_t end = std::int64_t{entry.context} + entry.new_tokens;
  std::int64_t position = entry.context;
  auto text = std::upper_bound(
      request.texts.begin(), request.texts.end(), position,
      [](std::int64_t at, const AgenticText& candidate) { return at < candidate.start; });
  while (position < end) {
    const std::int64_t text_end = text == request.texts.end() ? request.tokens : text->start;
    const std::int64_t until = std::min(end, text_end);
    use(*(text - 1), position, until - position);
    position = until;
    if (text != request.texts.end()) ++text;
  }
}

AgenticCounts count(const AgenticExpansion& expansion) {
  AgenticCounts counts;
  counts.tokens.resize(expansion.domains.size());
  for (const AgenticRequest& request : expansion.requests) {
    for (const AgenticTurn& turn : request.turns)
      ++(turn.from_tool ? counts.tool_turns : counts.user_turns);
    counts.cut_requests += request.cut ? 1 : 0;
    for (std::size_t i = 1; i < request.texts.size(); ++i)
      if (request.texts[i].domain != request.texts[i - 1].domain) ++counts.domain_switches;
  }
  for (const AgenticEntry& entry : expansion.schedule.entries)
    for_each_text(expansion.requests[static_cast<std::size_t>(entry.request)], entry,
                  [&](const AgenticText& text, std::int64_t, std::int64_t tokens) {
                    counts.tokens[text.domain][static_cast<std::size_t>(entry.phase)] += tokens;
                  });
  return counts;
}

class ColumnFiller {
 public:
  ColumnFiller(const AgenticExpansion& expansion,
               const TokenSource& source,
               const std::vector<std::size_t>& source_domain,
               const Sink& sink)
      : expansion_(expansion),
        source_(source),
        source_domain_(source_domain),
        row_size_(source.header().layer_ids.size() *
                  static_cast<std::size_t>(source.header().top_k)),
        buffer_(sink) {}

  void fill(TraceColumn column) {
    for (const AgenticEntry& entry : expansion_.schedule.entries) {
      const bool by_text = column == TraceColumn::domain || column == TraceColumn::experts ||
                           column == TraceColumn::weights;
      if (by_text)
        for_each_text(expansion_.requests[static_cast<std::size_t>(entry.request)], entry,
                      [&](const AgenticText& text, std::int64_t first, std::int64_t tokens) {
                        add_text(column, text, first, tokens);
                      });
      else
        for (std::int32_t i = 0; i < entry.new_tokens; ++i) add_label(column, entry, i);
    }
    buffer_.flush();
  }

 private:
  void add_label(TraceColumn column, const AgenticEntry& entry, std::int32_t token) {
    if (column == TraceColumn::request) buffer_.add(entry.request);
    if (column == TraceColumn::position) buffer_.add(entry.context + token);
    if (column == TraceColumn::step) buffer_.add(entry.step);
    if (column == TraceColumn::source_rank) buffer_.add(entry.rank);
    if (column == TraceColumn::phase) buffer_.add(static_cast<std::uint8_t>(entry.phase));
  }

  void add_text(TraceColumn column,
                const AgenticText& text,
                std::int64_t first,
                std::int64_t tokens) {
    while (tokens > 0) {
      const auto taken = std::min(tokens, static_cast<std::int64_t>(kMostRowsAtOnce));
      add_part(column, text,
               {text.number, source_domain_[text.domain], text.phase,
                static_cast<std::uint64_t>(first - text.start), static_cast<std::size_t>(taken)});
      first += taken;
      tokens -= taken;
    }
  }

  void add_part(TraceColumn column, const AgenticText& text, const TextPart& part) {
    if (column == TraceColumn::domain) {
      for (std::size_t i = 0; i < part.count; ++i)
        buffer_.add(static_cast<std::uint8_t>(text.domain));
      return;
    }
    values_.resize(part.count * row_size_);
    if (column == TraceColumn::experts) source_.copy_experts(part, values_);
    if (column == TraceColumn::weights) source_.copy_weights(part, values_);
    buffer_.add(std::span<const std::uint16_t>(values_));
  }

  const AgenticExpansion& expansion_;
  const TokenSource& source_;
  const std::vector<std::size_t>& source_domain_;
  std::size_t row_size_;
  std::vector<std::uint16_t> values_;
  PieceBuffer buffer_;
};

}  // namespace

std::int64_t AgenticExpansion::tokens() const {
  std::int64_t sum = 0;
  for (const auto& of_domain : counts.tokens) sum += of_domain[0] + of_domain[1];
  return sum;
}

AgenticExpansion expand_agentic(const AgenticDescription& description, std::uint64_t seed) {
  AgenticExpansion expansion;
  expansion.domains = description.domains;
  expansion.ranks = description.ranks;
  expansion.seed = seed;
  expansion.requests = draw_requests(description, seed);
  expansion.schedule = schedule_requests(description, expansion.requests);
  expansion.counts = count(expansion);
  return expansion;
}

std::vector<Batch> agentic_batches(const AgenticExpansion& expansion) {
  std::vector<Batch> batches(static_cast<std::size_t>(expansion.schedule.steps));
  for (Batch& batch : batches) {
    batch.by_rank.resize(static_cast<std::size_t>(expansion.ranks));
    batch.rows.resize(static_cast<std::size_t>(expansion.ranks));
  }
  std::uint32_t row = 0;
  for (const AgenticEntry& entry : expansion.schedule.entries) {
    Batch& batch = batches[static_cast<std::size_t>(entry.step)];
    const auto rank = static_cast<std::size_t>(entry.rank);
    batch.by_rank[rank].push_back({entry.request, entry.phase, entry.new_tokens, entry.context});
    for (std::int32_t i = 0; i < entry.new_tokens; ++i) batch.rows[rank].push_back(row++);
  }
  return batches;
}

std::vector<std::size_t> source_domains(const AgenticExpansion& expansion,
                                        const TraceHeader& source,
                                        const std::map<std::string, std::string>& renamed) {
  for (const auto& entry : renamed)
    if (std::find(expansion.domains.begin(), expansion.domains.end(), entry.first) ==
        expansion.domains.end())
      throw InputError("--domain " + entry.first + "=" + entry.second +
                       ": the description has no domain \"" + entry.first + "\"" +
                       name_help(entry.first, expansion.domains));
  std::vector<std::size_t> places;
  places.reserve(expansion.domains.size());
  for (const std::string& domain : expansion.domains) {
    const auto renaming = renamed.find(domain);
    const std::string& name = renaming == renamed.end() ? domain : renaming->second;
    const auto found = std::find(source.domains.begin(), source.domains.end(), name);
    if (found == source.domains.end())
      throw InputError("the source trace has no domain \"" + name + "\"" +
                       name_help(name, source.domains) + " (--domain " + domain +
                       "=NAME takes another for it)");
    places.push_back(static_cast<std::size_t>(found - source.domains.begin()));
  }
  return places;
}

void write_agentic_trace(const std::string& path,
                         const AgenticExpansion& expansion,
                         const TokenSource& source,
                         const std::vector<std::size_t>& source_domain) {
  StreamedTrace trace;
  trace.header = source.header();
  trace.header.origin = "synthetic";
  trace.header.seed = expansion.seed;
  trace.header.domains = expansion.domains;
  trace.tokens = static_cast<std::size_t>(expansion.tokens());
  trace.has_weights = source.has_weights();
  trace.has_source_rank = true;
  trace.fill = [&](TraceColumn column, const Sink& sink) {
    ColumnFiller(expansion, source, source_domain, sink).fill(column);
  };
  write_trace(path, trace);
}

}  // namespace moesim
