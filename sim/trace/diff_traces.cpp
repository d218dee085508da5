// Header fields, then the label columns, then the routing; shares are made of the counts at the
// end.
#include "sim/trace/diff_traces.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "sim/core/error.h"
#include "sim/trace/diff_routing.h"
#include "sim/trace/trace_laws.h"
#include "sim/trace/trace_stats.h"

namespace moesim {
namespace {

std::vector<HeaderDifference> diff_headers(const RoutingTrace& a, const RoutingTrace& b) {
  std::vector<HeaderDifference> list;
  const auto compare = [&](const char* field, const auto& x, const auto& y) {
    if (x != y) list.push_back({field, fmt::format("{}", x), fmt::format("{}", y)});
  };
  compare("model", a.header.model, b.header.model);
  compare("experts", a.header.experts, b.header.experts);
  compare("top_k", a.header.top_k, b.header.top_k);
  compare("layer_ids", a.header.layer_ids, b.header.layer_ids);
  compare("origin", a.header.origin, b.header.origin);
  compare("seed", a.header.seed, b.header.seed);
  compare("domains", a.header.domains, b.header.domains);
  compare("notes", a.header.notes, b.header.notes);
  compare("tokens", a.tokens(), b.tokens());
  return list;
}

// `same` compares a row, `text` shows one side's value.
template <class Same>
void diff_column(const char* name,
                 std::size_t rows,
                 const Same& same,
                 const std::function<std::pair<std::string, std::string>(std::size_t)>& values,
                 std::vector<ColumnDifference>& list) {
  ColumnDifference difference;
  difference.column = name;
  for (std::size_t row = 0; row < rows; ++row) {
    if (same(row)) continue;
    if (difference.values++ == 0) difference.row = row;
  }
  if (difference.values == 0) return;
  std::tie(difference.a, difference.b) = values(difference.row);
  list.push_back(difference);
}

void diff_numbers(const char* name,
                  std::span<const std::int32_t> a,
                  std::span<const std::int32_t> b,
                  std::vector<ColumnDifference>& list) {
  if (a.empty() != b.empty()) {
    const auto side = [](bool absent) { return std::string(absent ? "absent" : "present"); };
    list.push_back(
        {name, std::max(a.size(), b.size()), 0, -1, -1, side(a.empty()), side(b.empty())});
    return;
  }
  diff_column(
      name, std::min(a.size(), b.size()), [&](std::size_t row) { return a[row] == b[row]; },
      [&](std::size_t row) { return std::pair(std::to_string(a[row]), std::to_string(b[row])); },
      list);
}

void diff_labels(const RoutingInput& input, std::size_t rows, std::vector<ColumnDifference>& list) {
  const RoutingTrace &a = input.a, &b = input.b;
  diff_column(
      "domain", rows,
      [&](std::size_t row) {
        return input.a_domains[a.domain[row]] == input.b_domains[b.domain[row]];
      },
      [&](std::size_t row) {
        return std::pair(a.header.domains[a.domain[row]], b.header.domains[b.domain[row]]);
      },
      list);
  const auto word = [](std::uint8_t phase) {
    return std::string(phase == 0 ? "prefill" : "decode");
  };
  diff_column(
      "phase", rows, [&](std::size_t row) { return a.phase[row] == b.phase[row]; },
      [&](std::size_t row) { return std::pair(word(a.phase[row]), word(b.phase[row])); }, list);
}

// The difference of `experts` or `weights`, whose values differ at `first`.
void add_routed(const char* name,
                const FirstDifference& first,
                const RoutingInput& input,
                std::vector<ColumnDifference>& list) {
  if (first.values == 0) return;
  const SharedLayer& layer = input.layers[first.layer];
  const auto value = [&](const RoutingTrace& trace, std::size_t place) {
    const std::size_t at = (first.row * trace.moe_layers() + place) * input.top_k() + first.choice;
    const bool experts = std::string_view(name) == "experts";
    if (experts && trace.experts[at] == kNotRouted) return std::string("not routed");
    return experts ? std::to_string(trace.experts[at]) : fmt::format("{:#06x}", trace.weights[at]);
  };
  list.push_back({name, first.values, first.row, layer.id, static_cast<int>(first.choice),
                  value(input.a, layer.a), value(input.b, layer.b)});
}

void diff_weights_presence(const RoutingInput& input, std::vector<ColumnDifference>& list) {
  const bool a = input.a.weights.empty(), b = input.b.weights.empty();
  if (a == b) return;
  list.push_back({"weights", std::max(input.a.weights.size(), input.b.weights.size()), 0, -1, -1,
                  a ? "absent" : "present", b ? "absent" : "present"});
}

ComparedTrace count(const RoutingTrace& trace) {
  ComparedTrace counts;
  counts.tokens = trace.tokens();
  counts.prefill_tokens = static_cast<std::uint64_t>(
      std::count(trace.phase.begin(), trace.phase.end(), std::uint8_t{0}));
  counts.requests =
      std::unordered_set<std::int32_t>(trace.request.begin(), trace.request.end()).size();
  return counts;
}

RoutingInput shared_axes(const RoutingTrace& a,
                         const RoutingTrace& b,
                         std::vector<std::string>& domains) {
  RoutingInput input{a, b, {}, {}, {}, 0};
  for (const bool first : {true, false}) {
    auto& ids = first ? input.a_domains : input.b_domains;
    for (const std::string& name : first ? a.header.domains : b.header.domains) {
      const auto found = std::find(domains.begin(), domains.end(), name);
      ids.push_back(static_cast<std::uint16_t>(found - domains.begin()));
      if (found == domains.end()) domains.push_back(name);
    }
  }
  input.domains = domains.size();
  for (std::size_t i = 0; i < a.moe_layers(); ++i) {
    const auto& ids = b.header.layer_ids;
    const auto found = std::find(ids.begin(), ids.end(), a.header.layer_ids[i]);
    if (found != ids.end())
      input.layers.push_back(
          {a.header.layer_ids[i], i, static_cast<std::size_t>(found - ids.begin())});
  }
  return input;
}

LoadDifference compare_loads(std::vector<std::uint64_t> a, std::vector<std::uint64_t> b) {
  const LoadStats x = load_stats(std::move(a)), y = load_stats(std::move(b));
  return {x.max_over_mean, y.max_over_mean, domain_distance({x, y})};
}

// Rows are grouped by overlap: the mean is a sum over at most (k + 1)(2k + 1) kinds of rows.
double mean_overlap(std::span<const std::uint64_t> rows, std::size_t k) {
  double sum = 0, all = 0;
  for (std::size_t both = 0; both <= k; ++both)
    for (std::size_t either = 0; either <= 2 * k; ++either) {
      const auto count = static_cast<double>(rows[both * (2 * k + 1) + either]);
      const double share =
          either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
      sum += count * share;
      all += count;
    }
  return all == 0 ? 1 : sum / all;
}

LayerDifference compare_layer(const RoutingInput& input,
                              const RoutingDifference& counts,
                              std::size_t layer,
                              std::size_t rows) {
  const std::size_t k = input.top_k(), experts = input.experts();
  LayerDifference result;
  result.layer = input.layers[layer].id;
  result.changed_choices =
      static_cast<double>(counts.changed[layer]) / static_cast<double>(rows * k);
  const std::size_t kinds = (k + 1) * (2 * k + 1);
  result.set_overlap = mean_overlap(std::span(counts.overlap).subspan(layer * kinds, kinds), k);
  std::vector<std::uint64_t> all_a(experts, 0), all_b(experts, 0);
  for (std::size_t domain = 0; domain < input.domains; ++domain) {
    const auto at = static_cast<std::ptrdiff_t>((layer * input.domains + domain) * experts);
    const auto end = at + static_cast<std::ptrdiff_t>(experts);
    std::vector<std::uint64_t> a(counts.a.load.begin() + at, counts.a.load.begin() + end);
    std::vector<std::uint64_t> b(counts.b.load.begin() + at, counts.b.load.begin() + end);
    for (std::size_t expert = 0; expert < experts; ++expert) {
      all_a[expert] += a[expert];
      all_b[expert] += b[expert];
    }
    result.by_domain.push_back(compare_loads(std::move(a), std::move(b)));
  }
  result.all = compare_loads(std::move(all_a), std::move(all_b));
  return result;
}

void refuse_wrong_ids(const DiffInput& side, const SideLoad& load) {
  if (load.wrong_id) check_routing(side.trace, {side.name, nullptr});
}

double share_of(std::uint64_t part, std::size_t rows, const RoutingInput& input) {
  const std::size_t all = rows * input.layers.size() * input.top_k();
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

}  // namespace

TraceDifference diff_traces(const DiffInput& a, const DiffInput& b, int threads) {
  TraceDifference result;
  result.header = diff_headers(a.trace, b.trace);
  result.a = count(a.trace);
  result.b = count(b.trace);
  result.compared_rows = std::min(a.trace.tokens(), b.trace.tokens());
  const RoutingInput input = shared_axes(a.trace, b.trace, result.domains);
  diff_numbers("request", a.trace.request, b.trace.request, result.columns);
  diff_numbers("position", a.trace.position, b.trace.position, result.columns);
  diff_numbers("step", a.trace.step, b.trace.step, result.columns);
  diff_numbers("source_rank", a.trace.source_rank, b.trace.source_rank, result.columns);
  const TraceHeader &x = a.trace.header, &y = b.trace.header;
  if (x.experts == y.experts && x.top_k == y.top_k) {
    const RoutingDifference counts = diff_routing(input, threads);
    refuse_wrong_ids(a, counts.a);
    refuse_wrong_ids(b, counts.b);
    add_routed("experts", counts.experts, input, result.columns);
    add_routed("weights", counts.weights, input, result.columns);
    result.a.not_routed = share_of(counts.a.not_routed, a.trace.tokens(), input);
    result.b.not_routed = share_of(counts.b.not_routed, b.trace.tokens(), input);
    for (std::size_t layer = 0; layer < input.layers.size(); ++layer)
      result.layers.push_back(compare_layer(input, counts, layer, result.compared_rows));
  }
  diff_weights_presence(input, result.columns);
  diff_labels(input, result.compared_rows, result.columns);
  return result;
}

}  // namespace moesim
