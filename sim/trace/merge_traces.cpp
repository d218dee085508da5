// Merging: labels are mapped, rows are ordered; the routing is read when the result is written.
#include "sim/trace/merge_traces.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/core/error.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

constexpr std::size_t kMaxDomains = 256;

void check_alike(const NamedTrace& a, const NamedTrace& b) {
  const TraceHeader &x = a.trace.header, &y = b.trace.header;
  const auto refuse = [&](const char* what, const auto& left, const auto& right) {
    throw InputError(fmt::format("{} has {} {}, {} has {}: traces of one model shape can be merged",
                                 a.name, what, left, b.name, right));
  };
  if (x.experts != y.experts) refuse("experts", x.experts, y.experts);
  if (x.top_k != y.top_k) refuse("top_k", x.top_k, y.top_k);
  if (x.layer_ids != y.layer_ids) refuse("layer_ids", x.layer_ids, y.layer_ids);
}

TraceHeader merged_header(const std::vector<NamedTrace>& traces, std::uint64_t seed) {
  TraceHeader header = traces.front().trace.header;
  header.seed = seed;
  header.domains.clear();
  header.notes.clear();
  std::vector<std::string> models;
  for (const NamedTrace& each : traces) {
    const TraceHeader& other = each.trace.header;
    if (std::find(models.begin(), models.end(), other.model) == models.end())
      models.push_back(other.model);
    for (const std::string& note : other.notes)
      if (std::find(header.notes.begin(), header.notes.end(), note) == header.notes.end())
        header.notes.push_back(note);
    if (other.origin != header.origin)
      header.origin =
          other.origin == "synthetic" || header.origin == "synthetic" ? "synthetic" : "imported";
  }
  header.model = fmt::format("{}", fmt::join(models, " + "));
  return header;
}

std::vector<std::uint8_t> unite_domains(const NamedTrace& from, std::vector<std::string>& names) {
  std::vector<std::uint8_t> ids;
  ids.reserve(from.trace.header.domains.size());
  for (const std::string& name : from.trace.header.domains) {
    const auto found = std::find(names.begin(), names.end(), name);
    ids.push_back(static_cast<std::uint8_t>(found - names.begin()));
    if (found != names.end()) continue;
    if (names.size() == kMaxDomains)
      throw InputError(
          fmt::format("{}: its domain \"{}\" would be the {}th; a trace names at most "
                      "{}",
                      from.name, name, kMaxDomains + 1, kMaxDomains));
    names.push_back(name);
  }
  return ids;
}

// A trace's requests by first appearance, and how many rows each has.
struct RequestSizes {
  std::vector<std::int32_t> ids;
  std::unordered_map<std::int32_t, std::size_t> rows;
};

RequestSizes request_sizes(const RoutingTrace& trace) {
  RequestSizes sizes;
  for (const std::int32_t request : trace.request)
    if (sizes.rows[request]++ == 0) sizes.ids.push_back(request);
  return sizes;
}

// How many leading requests bring the rows nearest to `target` (at least one).
std::size_t leading_requests(const RequestSizes& sizes, double target) {
  double rows = 0;
  for (std::size_t i = 0; i < sizes.ids.size(); ++i) {
    const auto next = static_cast<double>(sizes.rows.at(sizes.ids[i]));
    if (i > 0 && target - rows <= rows + next - target) return i;
    rows += next;
  }
  return sizes.ids.size();
}

// Rows each trace may give so that they stand as the weights say.
std::vector<double> targets(const std::vector<NamedTrace>& traces, const MergeOptions& options) {
  std::vector<double> rows;
  rows.reserve(traces.size());
  for (const NamedTrace& each : traces) rows.push_back(static_cast<double>(each.trace.tokens()));
  if (options.weights.empty()) return rows;
  double scale = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < rows.size(); ++i)
    scale = std::min(scale, rows[i] / options.weights[i]);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = scale * options.weights[i];
  return rows;
}

void number_requests(PickedSource& source, double target, std::int64_t& next) {
  const RequestSizes sizes = request_sizes(source.trace);
  const std::size_t kept = leading_requests(sizes, target);
  for (std::size_t i = 0; i < kept; ++i) {
    if (next > std::numeric_limits<std::int32_t>::max())
      throw InputError(source.name + ": more requests than 32 bits number");
    source.requests.emplace(sizes.ids[i], static_cast<std::int32_t>(next++));
  }
}

std::vector<std::vector<RowRun>> kept_runs(const std::vector<PickedSource>& sources) {
  std::vector<std::vector<RowRun>> runs(sources.size());
  for (std::size_t i = 0; i < sources.size(); ++i)
    for (std::size_t row = 0; row < sources[i].trace.tokens(); ++row)
      if (sources[i].requests.contains(sources[i].trace.request[row])) append_row(runs[i], i, row);
  return runs;
}

void shift_steps(std::vector<PickedSource>& sources, const std::vector<std::vector<RowRun>>& runs) {
  std::int64_t start = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::int64_t low = std::numeric_limits<std::int64_t>::max(), high = -1;
    for (const RowRun& run : runs[i]) {
      const auto steps = sources[i].trace.step.subspan(run.first, run.count);
      low = std::min<std::int64_t>(low, *std::min_element(steps.begin(), steps.end()));
      high = std::max<std::int64_t>(high, *std::max_element(steps.begin(), steps.end()));
    }
    const std::int64_t shift = i == 0 ? 0 : start - low;
    if (high + shift > std::numeric_limits<std::int32_t>::max())
      throw InputError(sources[i].name + ": its steps, appended, run beyond 32 bits");
    sources[i].step_shift = shift;
    start = high + shift + 1;
  }
}

// A riffle: the next row comes from a trace with the probability of its share of the rows left, so
// that every order that keeps each trace's own is equally likely.
std::vector<RowRun> riffle(const std::vector<std::vector<RowRun>>& runs, Random random) {
  std::vector<std::uint64_t> left;
  for (const auto& of_source : runs) {
    left.push_back(0);
    for (const RowRun& run : of_source) left.back() += run.count;
  }
  std::vector<std::size_t> run(runs.size(), 0), used(runs.size(), 0);
  std::vector<RowRun> mixed;
  for (std::uint64_t all = std::accumulate(left.begin(), left.end(), std::uint64_t{0}); all > 0;
       --all) {
    std::uint64_t drawn = random.below(all);
    std::size_t source = 0;
    while (drawn >= left[source]) drawn -= left[source++];
    const RowRun& from = runs[source][run[source]];
    append_row(mixed, source, from.first + used[source]);
    --left[source];
    if (++used[source] < from.count) continue;
    used[source] = 0;
    ++run[source];
  }
  return mixed;
}

void check_options(const std::vector<NamedTrace>& traces, const MergeOptions& options) {
  if (traces.size() < 2)
    throw InputError(fmt::format("{} trace given; a merge needs at least two", traces.size()));
  if (options.weights.empty()) return;
  if (options.weights.size() != traces.size())
    throw InputError(fmt::format("--weights gives {} numbers for {} traces; give one each",
                                 options.weights.size(), traces.size()));
  for (const double weight : options.weights)
    if (!(weight > 0) || !std::isfinite(weight))
      throw InputError(fmt::format("--weights holds {}; allowed: finite numbers above 0", weight));
}

}  // namespace

PickedRows merge_traces(const std::vector<NamedTrace>& traces, const MergeOptions& options) {
  check_options(traces, options);
  for (const NamedTrace& each : traces) check_alike(traces.front(), each);
  PickedRows picked;
  picked.header = merged_header(traces, options.seed);
  picked.keep_weights = picked.keep_source_rank = true;
  const std::vector<double> rows = targets(traces, options);
  std::vector<std::size_t> layers(traces.front().trace.moe_layers());
  std::iota(layers.begin(), layers.end(), std::size_t{0});
  std::int64_t next_request = 0;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    PickedSource source{traces[i].name, traces[i].trace, layers, {}, {}, 0};
    source.domains = unite_domains(traces[i], picked.header.domains);
    number_requests(source, rows[i], next_request);
    picked.keep_weights = picked.keep_weights && !source.trace.weights.empty();
    picked.keep_source_rank = picked.keep_source_rank && !source.trace.source_rank.empty();
    picked.sources.push_back(std::move(source));
  }
  const auto runs = kept_runs(picked.sources);
  if (options.order == MergeOrder::interleave) {
    picked.runs = riffle(runs, Random::named(options.seed, "merge order"));
    return picked;
  }
  shift_steps(picked.sources, runs);
  for (const auto& of_source : runs)
    picked.runs.insert(picked.runs.end(), of_source.begin(), of_source.end());
  return picked;
}

}  // namespace moesim
