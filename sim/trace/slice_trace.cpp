// One pass over the label columns picks the rows; the routing is read when the slice is written.
#include "sim/trace/slice_trace.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr std::size_t kMaxDomains = 256;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end || number < 0) return std::nullopt;
  return number;
}

// A filter by row, and what it looks at: for the message when it leaves nothing.
struct RowFilter {
  std::string option;
  std::function<bool(std::size_t)> holds;
  std::function<std::string()> what_there_is;
  std::size_t refused = 0;  // rows that pass every earlier filter and fail this one
};

std::string extent_of(const char* what, std::span<const std::int32_t> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{} run from {} to {}", what, *low, *high);
}

std::string text_of(const NumberRange& range) {
  return range.end == std::numeric_limits<std::int64_t>::max()
             ? fmt::format("{}:", range.first)
             : fmt::format("{}:{}", range.first, range.end);
}

RowFilter column_filter(const char* what,
                        const NumberRange& range,
                        std::span<const std::int32_t> values) {
  return {fmt::format("--{} {}", what, text_of(range)),
          [range, values](std::size_t row) { return range.holds(values[row]); },
          [what, values] { return extent_of(what, values); }};
}

RowFilter domain_filter(const RoutingTrace& trace,
                        const std::string& name,
                        const std::vector<std::string>& domains) {
  std::vector<bool> wanted(kMaxDomains, false);
  for (const std::string& domain : domains) {
    const auto& names = trace.header.domains;
    const auto found = std::find(names.begin(), names.end(), domain);
    if (found == names.end())
      throw InputError(fmt::format("{}: --domains: the trace has no domain \"{}\"{}", name, domain,
                                   name_help(domain, names)));
    wanted[static_cast<std::size_t>(found - names.begin())] = true;
  }
  return {fmt::format("--domains {}", fmt::join(domains, ",")),
          [wanted, &trace](std::size_t row) { return wanted[trace.domain[row]]; },
          [] { return std::string("these domains have rows only where other filters took them"); }};
}

std::vector<RowFilter> row_filters(const RoutingTrace& trace,
                                   const std::string& name,
                                   const SliceFilters& filters) {
  std::vector<RowFilter> list;
  if (filters.tokens) {
    const NumberRange range = *filters.tokens;
    list.push_back(
        {"--tokens " + text_of(range),
         [range](std::size_t row) { return range.holds(static_cast<std::int64_t>(row)); },
         [&trace] { return fmt::format("rows run from 0 to {}", trace.tokens() - 1); }});
  }
  if (filters.requests) list.push_back(column_filter("requests", *filters.requests, trace.request));
  if (filters.steps) list.push_back(column_filter("steps", *filters.steps, trace.step));
  if (filters.positions)
    list.push_back(column_filter("positions", *filters.positions, trace.position));
  if (!filters.domains.empty()) list.push_back(domain_filter(trace, name, filters.domains));
  if (filters.phase) {
    const auto phase = static_cast<std::uint8_t>(*filters.phase);
    list.push_back({std::string("--phase ") + (phase == 0 ? "prefill" : "decode"),
                    [phase, &trace](std::size_t row) { return trace.phase[row] == phase; },
                    [phase, &trace] {
                      return fmt::format("the whole trace has {} rows of this phase",
                                         std::count(trace.phase.begin(), trace.phase.end(), phase));
                    }});
  }
  return list;
}

[[noreturn]] void refuse_empty(const std::string& name,
                               std::size_t rows,
                               const std::vector<RowFilter>& filters) {
  std::string message = fmt::format("{}: no row is left: {} rows", name, rows);
  for (const RowFilter& filter : filters) {
    rows -= filter.refused;
    message += fmt::format(", {} leaves {}", filter.option, rows);
    if (rows == 0) throw InputError(message + "; in this trace " + filter.what_there_is());
  }
  throw InputError(message);
}

bool passes(std::vector<RowFilter>& filters, std::size_t row) {
  for (RowFilter& filter : filters) {
    if (filter.holds(row)) continue;
    ++filter.refused;
    return false;
  }
  return true;
}

std::vector<std::size_t> kept_layers(const RoutingTrace& trace,
                                     const std::string& name,
                                     const std::vector<NumberRange>& ranges) {
  std::vector<bool> used(ranges.size(), false);
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < trace.moe_layers(); ++place) {
    bool kept = ranges.empty();
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      if (!ranges[i].holds(trace.header.layer_ids[place])) continue;
      kept = used[i] = true;
    }
    if (kept) places.push_back(place);
  }
  const auto unused = std::find(used.begin(), used.end(), false);
  if (unused != used.end())
    throw InputError(fmt::format(
        "{}: --layers {}: the trace has none of these; its layers are {}", name,
        text_of(ranges[static_cast<std::size_t>(unused - used.begin())]), trace.header.layer_ids));
  return places;
}

// New ids of the domains that occur; the others' are never asked for.
std::vector<std::uint8_t> compact_domains(const std::vector<bool>& occurs, TraceHeader& header) {
  std::vector<std::string> names;
  std::vector<std::uint8_t> ids(header.domains.size(), 0);
  for (std::size_t domain = 0; domain < ids.size(); ++domain) {
    if (!occurs[domain]) continue;
    ids[domain] = static_cast<std::uint8_t>(names.size());
    names.push_back(header.domains[domain]);
  }
  header.domains = names;
  return ids;
}

}  // namespace

NumberRange parse_range(std::string_view text, const std::string& option) {
  const std::size_t colon = text.find(':');
  const std::string_view left = text.substr(0, colon);
  NumberRange range;
  const auto fail = [&]() -> InputError {
    return InputError(fmt::format(
        "{} is \"{}\"; write a:b, a:, :b or a with whole numbers, a below b", option, text));
  };
  if (!left.empty()) {
    const auto first = whole_number(left);
    if (!first) throw fail();
    range.first = *first;
  }
  if (colon == std::string_view::npos) {
    if (left.empty() || range.first == range.end) throw fail();
    range.end = range.first + 1;
    return range;
  }
  const std::string_view right = text.substr(colon + 1);
  if (!right.empty()) {
    const auto end = whole_number(right);
    if (!end) throw fail();
    range.end = *end;
  }
  if (range.first >= range.end || (left.empty() && right.empty())) throw fail();
  return range;
}

PickedRows slice_trace(const RoutingTrace& trace,
                       const std::string& name,
                       const SliceFilters& filters) {
  PickedRows picked;
  picked.header = trace.header;
  PickedSource source{name, trace, kept_layers(trace, name, filters.layers), {}, {}, 0};
  std::vector<RowFilter> list = row_filters(trace, name, filters);
  std::vector<bool> occurs(trace.header.domains.size(), false);
  for (std::size_t row = 0; row < trace.tokens(); ++row) {
    if (!passes(list, row)) continue;
    append_row(picked.runs, 0, row);
    occurs[trace.domain[row]] = true;
  }
  if (picked.runs.empty()) refuse_empty(name, trace.tokens(), list);
  source.domains = compact_domains(occurs, picked.header);
  picked.header.layer_ids.clear();
  for (const std::size_t place : source.moe_layers)
    picked.header.layer_ids.push_back(trace.header.layer_ids[place]);
  picked.keep_weights = !trace.weights.empty();
  picked.keep_source_rank = !trace.source_rank.empty();
  picked.sources.push_back(std::move(source));
  return picked;
}

}  // namespace moesim
