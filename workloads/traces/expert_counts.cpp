// From a table of counts to a trace: how many tokens each group gets, and its loads.
#include "workloads/traces/expert_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "workloads/traces/recorded_rows.h"

namespace moesim {
namespace {

__extension__ typedef __int128 Wide;  // NOLINT(modernize-use-using): only so is it no warning

constexpr std::int64_t kDefaultTokens = 65536;
constexpr std::int64_t kMostTokens = std::int64_t{1} << 28U;
constexpr std::size_t kRequestRows = 256;
// Of a layer in a group, and groups: their sum fits 63 bits.
constexpr std::int64_t kMostCopies = std::int64_t{1} << 42U;
constexpr std::size_t kMostGroups = std::size_t{1} << 20U;

std::span<const std::int64_t> layer_counts(const CountTable& table,
                                           const CountGroup& group,
                                           std::size_t layer) {
  return std::span(group.counts).subspan(layer * table.experts, table.experts);
}

std::int64_t copies_of(std::span<const std::int64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

void check_layer(const CountTable& table, const CountGroup& group, std::size_t layer, int top_k) {
  const auto counts = layer_counts(table, group, layer);
  const auto place = [&](std::size_t expert) {
    return fmt::format("{}: domain \"{}\", step {}, layer {}, expert {}", table.name,
                       table.domains[group.domain], group.step,
                       table.layer_ids.empty() ? static_cast<int>(layer) : table.layer_ids[layer],
                       expert);
  };
  std::int64_t copies = 0;
  for (std::size_t expert = 0; expert < counts.size(); ++expert) {
    if (counts[expert] < 0 || counts[expert] > kMostCopies - copies)
      throw InputError(fmt::format("{}: count {}, allowed: from 0, and up to 2^42 a layer",
                                   place(expert), counts[expert]));
    copies += counts[expert];
  }
  const std::int64_t tokens = (copies + top_k - 1) / top_k;
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most > tokens)
    throw InputError(fmt::format(
        "{}: chosen {} times of {} in its layer: more often than by each of {} tokens, so a token "
        "is not sent to {} experts (--top-k)",
        place(static_cast<std::size_t>(most - counts.begin())), *most, copies, tokens, top_k));
}

// Tokens that the counts imply: layers should agree; the largest decides.
std::int64_t implied_tokens(const CountTable& table, const CountGroup& group, int top_k) {
  std::int64_t tokens = 0;
  for (std::size_t layer = 0; layer < table.layers; ++layer) {
    check_layer(table, group, layer, top_k);
    tokens = std::max(tokens, (copies_of(layer_counts(table, group, layer)) + top_k - 1) / top_k);
  }
  return tokens;
}

std::vector<bool> routed_layers(const CountTable& table) {
  std::vector<bool> routed(table.layers, false);
  for (const CountGroup& group : table.groups)
    for (std::size_t layer = 0; layer < table.layers; ++layer)
      if (copies_of(layer_counts(table, group, layer)) > 0) routed[layer] = true;
  return routed;
}

int top_k_of(const CountTable& table, const ImportOptions& options) {
  const int top_k = options.top_k != 0 ? options.top_k : table.top_k;
  if (top_k == 0)
    throw InputError(table.name +
                     ": counts do not say how many experts a token is sent to; give --top-k (or "
                     "--model)");
  if (table.top_k != 0 && top_k != table.top_k)
    throw InputError(
        fmt::format("{}: it says top-{}, --top-k or --model {}", table.name, table.top_k, top_k));
  if (top_k < 0 || static_cast<std::size_t>(top_k) > table.experts)
    throw InputError(fmt::format("{}: top-k is {}, allowed: 1 to {} (the number of experts)",
                                 table.name, top_k, table.experts));
  return top_k;
}

// Columns but experts, for rows of one group after another.
void label_rows(TraceColumns& columns, const CountGroup& group, std::size_t tokens) {
  for (std::size_t row = 0; row < tokens; ++row) {
    const bool first = row % kRequestRows == 0;
    const std::int32_t last = columns.request.empty() ? -1 : columns.request.back();
    columns.request.push_back(first ? last + 1 : last);
    columns.position.push_back(static_cast<std::int32_t>(row % kRequestRows));
    columns.step.push_back(group.step);
    columns.domain.push_back(group.domain);
    columns.phase.push_back(static_cast<std::uint8_t>(Phase::prefill));
  }
}

// Draws one group's rows of every routed layer behind the rows there are.
void draw_group(const CountTable& table,
                const CountGroup& group,
                const std::vector<bool>& routed,
                std::size_t tokens,
                TraceColumns& columns) {
  const auto top_k = static_cast<std::size_t>(columns.header.top_k);
  const std::size_t layers = columns.header.layer_ids.size();
  const std::size_t start = columns.experts.size();
  columns.experts.resize(start + tokens * layers * top_k);
  std::size_t moe_layer = 0;
  for (std::size_t layer = 0; layer < table.layers; ++layer) {
    if (!routed[layer]) continue;
    const auto counts = layer_counts(table, group, layer);
    const std::int64_t wanted =
        copies_of(counts) == 0 ? 0 : static_cast<std::int64_t>(tokens * top_k);
    const auto purpose = fmt::format("counts, domain {}, step {}, layer {}", group.domain,
                                     group.step, columns.header.layer_ids[moe_layer]);
    const std::vector<std::uint16_t> rows =
        draw_rows(apportion(counts, wanted, static_cast<std::int64_t>(tokens)), tokens, top_k,
                  Random::named(columns.header.seed, purpose));
    for (std::size_t row = 0; row < tokens; ++row)
      std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(row * top_k), top_k,
                  columns.experts.begin() +
                      static_cast<std::ptrdiff_t>(start + (row * layers + moe_layer) * top_k));
    ++moe_layer;
  }
}

}  // namespace

std::vector<std::int64_t> apportion(std::span<const std::int64_t> shares,
                                    std::int64_t total,
                                    std::int64_t most) {
  std::vector<std::int64_t> parts(shares.size(), 0);
  const std::int64_t sum = copies_of(shares);
  if (sum == 0) return parts;
  std::vector<std::pair<std::int64_t, std::size_t>> remainders;
  remainders.reserve(shares.size());
  std::int64_t left = total;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i] == 0) continue;
    const Wide exact = Wide{shares[i]} * total;
    parts[i] = std::min(static_cast<std::int64_t>(exact / sum), most);
    left -= parts[i];
    remainders.emplace_back(-static_cast<std::int64_t>(exact % sum), i);
  }
  std::sort(remainders.begin(), remainders.end());  // the largest first, ties by place
  for (bool given = true; left > 0 && given;) {
    given = false;
    for (const auto& [remainder, i] : remainders) {
      if (left == 0) break;
      if (parts[i] == most) continue;
      ++parts[i];
      --left;
      given = true;
    }
  }
  return parts;
}

ImportedTrace draw_from_counts(const CountTable& table, const ImportOptions& options) {
  const int top_k = top_k_of(table, options);
  ImportedTrace imported;
  TraceColumns& columns = imported.columns;
  TraceHeader& header = columns.header;
  header.model = table.model;
  header.top_k = top_k;
  header.seed = options.seed;
  header.domains = table.domains;
  header.experts = std::max(static_cast<int>(table.experts), options.experts);
  if (table.groups.size() > kMostGroups)
    throw InputError(
        fmt::format("{}: {} steps, allowed: {}", table.name, table.groups.size(), kMostGroups));
  std::vector<std::int64_t> implied;
  implied.reserve(table.groups.size());
  for (const CountGroup& group : table.groups)
    implied.push_back(implied_tokens(table, group, top_k));
  const std::vector<bool> routed = routed_layers(table);
  header.layer_ids = choose_layer_ids(table.name, routed, table.layer_ids, options);

  const std::int64_t all = copies_of(implied);
  const std::int64_t tokens = options.tokens != 0 ? options.tokens : std::min(all, kDefaultTokens);
  if (tokens < 1 || tokens > kMostTokens)
    throw InputError(
        fmt::format("{}: {} tokens asked for, allowed: 1 to {}", table.name, tokens, kMostTokens));
  const std::vector<std::int64_t> of_group = apportion(implied, tokens, kMostTokens);
  for (std::size_t i = 0; i < table.groups.size(); ++i) {
    const auto drawn = static_cast<std::size_t>(of_group[i]);
    draw_group(table, table.groups[i], routed, drawn, columns);
    label_rows(columns, table.groups[i], drawn);
  }
  imported.notes.push_back(fmt::format(
      "{} tokens are drawn with seed {} from counts of {}: loads follow the counts; which experts "
      "a token has together, in which layers, and the order of tokens are random",
      tokens, options.seed, all));
  imported.notes.emplace_back(
      "counts hold no requests, positions or phases: requests are runs of 256 tokens in prefill");
  return imported;
}

}  // namespace moesim
