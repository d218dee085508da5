// expert_counts_json: a table of counts as JSON: [layers][experts], or {layer: [experts]}, or
// {domain: either of them}; bare, or as "counts" of an object that may also say "model", "experts",
// "top_k", "layers" (which transformer layers the rows are), "source" and "note".
// This project's own format (version 1); tokens are drawn from the counts.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "sim/io/json_reader.h"
#include "workloads/traces/expert_counts.h"
#include "workloads/traces/json_counts.h"

namespace moesim {
namespace {

// A layer's number, where the key is one.
std::optional<int> layer_number(const std::string& key) {
  int value = 0;
  const auto parsed = std::from_chars(key.data(), key.data() + key.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != key.data() + key.size()) return std::nullopt;
  return value;
}

// {layer: [experts]} by rising number.
std::vector<JsonNode> layers_by_number(const JsonNode& node, std::vector<int>& layer_ids) {
  std::vector<std::pair<int, JsonNode>> rows;
  for (const std::string& key : node.keys()) {
    const std::optional<int> layer = layer_number(key);
    if (!layer || *layer < 0) node.at(key).fail("expected the number of a layer as key");
    rows.emplace_back(*layer, node.at(key));
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<int> ids;
  std::vector<JsonNode> items;
  for (const auto& [layer, row] : rows) {
    ids.push_back(layer);
    items.push_back(row);
  }
  if (!layer_ids.empty() && layer_ids != ids) node.fail("names other layers than the rest");
  layer_ids = ids;
  return items;
}

std::vector<JsonNode> layer_rows(const JsonNode& node, std::vector<int>& layer_ids) {
  return node.is_object() ? layers_by_number(node, layer_ids) : node.items();
}

// Whether an object's keys are domains: its values are tables, not the rows of one.
bool holds_domains(const JsonNode& node) {
  if (!node.is_object() || node.keys().empty()) return false;
  const JsonNode first = node.at(node.keys().front());
  if (first.is_object()) return true;
  return first.is_array() && !first.items().empty() && first.items().front().is_array();
}

void read_counts(const JsonNode& counts, CountTable& table) {
  if (!holds_domains(counts)) {
    add_count_rows(table, "all", layer_rows(counts, table.layer_ids), counts);
    return;
  }
  for (const std::string& domain : counts.keys()) {
    const JsonNode of_domain = counts.at(domain);
    add_count_rows(table, domain, layer_rows(of_domain, table.layer_ids), of_domain);
  }
}

ImportedTrace read_json(std::span<const ImportFile> files, const ImportOptions& options) {
  if (files.size() > 1)
    throw InputError(files[1].name +
                     ": one table is imported at a time; join the files, a key per "
                     "domain");
  const ImportFile& file = files.front();
  const JsonNode root = read_json_text(file.text(), file.name);
  CountTable table;
  table.name = file.name;
  if (!root.is_object() || !root.has("counts")) {
    read_counts(root, table);
    return draw_from_counts(table, options);
  }
  root.allow_only(
      {"counts", "model", "experts", "top_k", "layers", "source", "commit", "licence", "note"});
  if (const auto model = root.find("model")) table.model = model->as_string();
  if (const auto top_k = root.find("top_k"))
    table.top_k = static_cast<int>(top_k->as_int(1, kMostCountedExperts));
  if (const auto layers = root.find("layers"))
    for (const JsonNode& id : layers->items())
      table.layer_ids.push_back(static_cast<int>(id.as_int(0, 1 << 20)));
  read_counts(root.at("counts"), table);
  if (const auto experts = root.find("experts"))
    if (experts->as_int(1, kMostCountedExperts) != static_cast<std::int64_t>(table.experts))
      experts->fail(fmt::format("is not the {} counts of a row", table.experts));
  return draw_from_counts(table, options);
}

bool probe_json(const ImportFile& file) {
  const std::string_view text = file.text().substr(0, std::size_t{1} << 16U);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || (text[begin] != '{' && text[begin] != '[')) return false;
  return text.find("\"top_indices\"") == std::string_view::npos &&
         text.find("\"topk_counts\"") == std::string_view::npos;
}

const Registered<TraceImporter> registered{
    "expert_counts_json",
    "counts by layer and expert (and domain) as JSON; tokens are drawn from them",
    {probe_json, read_json}};

}  // namespace
}  // namespace moesim
