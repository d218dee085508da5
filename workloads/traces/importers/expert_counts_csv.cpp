// expert_counts_csv: a table of counts as comma-separated values, one line a (layer, expert) under
// the header "layer,expert,count" or one line a layer under "layer,0,1,2,...", either with a
// "domain" column. Columns stand in any order; lines that begin with # are comments.
// This project's own format (version 1); tokens are drawn from the counts.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "workloads/traces/expert_counts.h"

namespace moesim {
namespace {

constexpr int kMostLayer = 1 << 20, kMostExpert = 65533;
constexpr std::size_t kMostCells = std::size_t{1} << 26U;
constexpr std::size_t kMostDomains = 256;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\"";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t comma = line.find(',');
    fields.push_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

// Lines with content, and their numbers.
class Lines {
 public:
  Lines(std::string_view text, const std::string& name) : rest_(text), where_{name, 0, 0, ""} {}

  bool next(std::vector<std::string_view>& fields) {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      const std::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++where_.line;
      if (trimmed(line).empty() || trimmed(line).front() == '#') continue;
      line_ = line;
      fields = fields_of(line);
      return true;
    }
    return false;
  }

  [[noreturn]] void fail(const std::string& message) const { throw InputError(where_, message); }
  [[noreturn]] void fail_at(std::string_view field, const std::string& message) const {
    Location place = where_;
    if (!field.empty()) place.column = static_cast<int>(field.data() - line_.data()) + 1;
    throw InputError(place, message);
  }

  std::int64_t number(std::string_view field, std::string_view column, std::int64_t most) const {
    std::int64_t value = 0;
    const auto parsed = std::from_chars(field.data(), field.data() + field.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != field.data() + field.size() || value < 0 ||
        value > most)
      fail_at(field, fmt::format("{} is \"{}\", expected a whole number from 0 to {}", column,
                                 field, most));
    return value;
  }

 private:
  std::string_view rest_, line_;
  Location where_;
};

// Where the columns stand; in the wide form expert e is column expert_columns[e].
struct Columns {
  std::optional<std::size_t> layer, domain, expert, count;
  std::vector<std::size_t> expert_columns;
  std::size_t number = 0;
  bool wide() const { return !expert.has_value(); }
};

// "7", "e7", "expert7", "expert_7" -> 7.
std::optional<int> expert_number(std::string_view field) {
  for (const std::string_view prefix : {"expert_", "expert", "e"}) {
    if (!field.starts_with(prefix)) continue;
    field.remove_prefix(prefix.size());
    break;
  }
  int value = 0;
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != field.data() + field.size()) return std::nullopt;
  return value;
}

Columns read_header(const std::vector<std::string_view>& fields, const Lines& lines) {
  Columns columns;
  columns.number = fields.size();
  const std::map<std::string_view, std::optional<std::size_t>*> known{{"layer", &columns.layer},
                                                                      {"domain", &columns.domain},
                                                                      {"expert", &columns.expert},
                                                                      {"count", &columns.count}};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto found = known.find(fields[i]);
    if (found != known.end()) {
      if (found->second->has_value()) lines.fail(fmt::format("two columns \"{}\"", fields[i]));
      *found->second = i;
      continue;
    }
    const std::optional<int> expert = expert_number(fields[i]);
    if (expert != static_cast<int>(columns.expert_columns.size()))
      lines.fail_at(
          fields[i],
          fmt::format("column \"{}\" is none of layer, expert, count, domain, nor expert {}",
                      fields[i], columns.expert_columns.size()));
    columns.expert_columns.push_back(i);
  }
  if (!columns.layer) lines.fail("the header lacks the column \"layer\"");
  if (columns.expert.has_value() != columns.count.has_value() ||
      columns.expert.has_value() == !columns.expert_columns.empty())
    lines.fail("the header is neither layer,expert,count[,domain] nor layer[,domain],0,1,2,...");
  return columns;
}

// Counts by domain, layer, expert, with the line each came from.
struct Cells {
  std::vector<std::string> domains;
  std::set<int> layers;
  std::size_t experts = 0;
  std::map<std::tuple<std::size_t, int, int>, std::int64_t> counts;

  std::size_t domain(std::string_view name, const Lines& lines) {
    const auto found = std::find(domains.begin(), domains.end(), name);
    const auto number = static_cast<std::size_t>(found - domains.begin());
    if (found != domains.end()) return number;
    if (domains.size() == kMostDomains)
      lines.fail(fmt::format("domain \"{}\" is one too many, allowed: {}", name, kMostDomains));
    domains.emplace_back(name);
    return number;
  }

  void add(std::size_t of_domain, int layer, int expert, std::int64_t count, const Lines& lines) {
    if (!counts.emplace(std::tuple{of_domain, layer, expert}, count).second)
      lines.fail(fmt::format("layer {}, expert {} is counted twice", layer, expert));
    layers.insert(layer);
    experts = std::max(experts, static_cast<std::size_t>(expert) + 1);
  }
};

void read_line(const std::vector<std::string_view>& fields,
               const Columns& columns,
               const Lines& lines,
               Cells& cells) {
  if (fields.size() != columns.number)
    lines.fail(fmt::format("{} fields, the header has {}", fields.size(), columns.number));
  const std::size_t domain = cells.domain(columns.domain ? fields[*columns.domain] : "all", lines);
  const auto layer = static_cast<int>(lines.number(fields[*columns.layer], "layer", kMostLayer));
  constexpr std::int64_t kMostCount = std::int64_t{1} << 42U;
  if (!columns.wide()) {
    const auto expert =
        static_cast<int>(lines.number(fields[*columns.expert], "expert", kMostExpert));
    cells.add(domain, layer, expert, lines.number(fields[*columns.count], "count", kMostCount),
              lines);
    return;
  }
  for (std::size_t expert = 0; expert < columns.expert_columns.size(); ++expert)
    cells.add(domain, layer, static_cast<int>(expert),
              lines.number(fields[columns.expert_columns[expert]], fmt::format("expert {}", expert),
                           kMostCount),
              lines);
}

CountTable to_table(const std::string& name, const Cells& cells) {
  CountTable table;
  table.name = name;
  table.experts = cells.experts;
  table.layers = cells.layers.size();
  table.layer_ids.assign(cells.layers.begin(), cells.layers.end());
  table.domains = cells.domains;
  if (cells.experts * cells.layers.size() * cells.domains.size() > kMostCells)
    throw InputError(fmt::format("{}: {} layers x {} experts x {} domains, allowed: {} counts",
                                 name, table.layers, table.experts, table.domains.size(),
                                 kMostCells));
  table.groups.resize(cells.domains.size());
  for (std::size_t domain = 0; domain < table.groups.size(); ++domain) {
    table.groups[domain].domain = static_cast<std::uint8_t>(domain);
    table.groups[domain].counts.assign(table.layers * table.experts, 0);
  }
  for (const auto& [place, count] : cells.counts) {
    const auto& [domain, layer, expert] = place;
    const auto row = static_cast<std::size_t>(
        std::lower_bound(table.layer_ids.begin(), table.layer_ids.end(), layer) -
        table.layer_ids.begin());
    table.groups[domain].counts[row * table.experts + static_cast<std::size_t>(expert)] = count;
  }
  return table;
}

ImportedTrace read_csv(std::span<const ImportFile> files, const ImportOptions& options) {
  if (files.size() > 1)
    throw InputError(files[1].name +
                     ": one table is imported at a time; join the files, with a "
                     "\"domain\" column to tell them apart");
  const ImportFile& file = files.front();
  Lines lines(file.text(), file.name);
  std::vector<std::string_view> fields;
  if (!lines.next(fields)) throw InputError(file.name + ": it holds no header");
  const Columns columns = read_header(fields, lines);
  Cells cells;
  while (lines.next(fields)) read_line(fields, columns, lines, cells);
  if (cells.counts.empty()) throw InputError(file.name + ": it holds no counts");
  return draw_from_counts(to_table(file.name, cells), options);
}

bool probe_csv(const ImportFile& file) {
  Lines lines(file.text().substr(0, std::size_t{1} << 16U), file.name);
  std::vector<std::string_view> fields;
  if (!lines.next(fields) || fields.size() < 3) return false;
  return std::find(fields.begin(), fields.end(), "layer") != fields.end();
}

const Registered<TraceImporter> registered{
    "expert_counts_csv",
    "counts by layer and expert (and domain) as CSV; tokens are drawn from them",
    {probe_csv, read_csv}};

}  // namespace
}  // namespace moesim
