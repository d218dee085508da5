// Tables and JSON of a difference between traces.
#include "analysis/metrics/trace_diff_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "analysis/report/text_table.h"

namespace moesim {
namespace {

std::string place_of(const ColumnDifference& column) {
  std::string place = fmt::format("row {}", column.row);
  if (column.layer >= 0) place += fmt::format(", layer {}, choice {}", column.layer, column.choice);
  return place;
}

std::string first_differences(const TraceDifference& difference) {
  std::vector<std::vector<std::string>> rows;
  for (const HeaderDifference& field : difference.header)
    rows.push_back({field.field, "", "header", field.a, field.b});
  for (const ColumnDifference& column : difference.columns)
    rows.push_back(
        {column.column, std::to_string(column.values), place_of(column), column.a, column.b});
  return text_table({{"what differs", 16, false},
                     {"values", 20},
                     {"first at", 36, false},
                     {"A", 30, false},
                     {"B", 30, false}},
                    rows);
}

std::string side_by_side(const TraceDifference& difference) {
  const auto row = [](const char* what, std::uint64_t a, std::uint64_t b) {
    return std::vector<std::string>{what, std::to_string(a), std::to_string(b)};
  };
  const ComparedTrace &a = difference.a, &b = difference.b;
  return text_table({{"", 24, false}, {"A", 20}, {"B", 20}},
                    {row("tokens", a.tokens, b.tokens),
                     row("prefill tokens", a.prefill_tokens, b.prefill_tokens),
                     row("requests", a.requests, b.requests),
                     {"choices not routed", fmt::format("{:.2f} %", 100 * a.not_routed),
                      fmt::format("{:.2f} %", 100 * b.not_routed)}});
}

std::string by_layer(const TraceDifference& difference) {
  std::vector<TextColumn> columns{{"layer", 8},        {"changed choices", 12},
                                  {"set overlap", 12}, {"max/mean A", 12},
                                  {"max/mean B", 12},  {"load distance", 12}};
  for (const std::string& domain : difference.domains) columns.push_back({domain, 12});
  std::vector<std::vector<std::string>> rows;
  for (const LayerDifference& layer : difference.layers) {
    rows.push_back(
        {std::to_string(layer.layer), fmt::format("{:.2f} %", 100 * layer.changed_choices),
         fmt::format("{:.4f}", layer.set_overlap), fmt::format("{:.2f}", layer.all.max_over_mean_a),
         fmt::format("{:.2f}", layer.all.max_over_mean_b),
         fmt::format("{:.4f}", layer.all.total_variation)});
    for (const LoadDifference& domain : layer.by_domain)
      rows.back().push_back(domain.max_over_mean_a > 0 && domain.max_over_mean_b > 0
                                ? fmt::format("{:.4f}", domain.total_variation)
                                : "-");  // one side has nothing there to compare
  }
  return text_table(columns, rows);
}

nlohmann::ordered_json json_of(const LoadDifference& load) {
  return {{"max_over_mean_a", load.max_over_mean_a},
          {"max_over_mean_b", load.max_over_mean_b},
          {"total_variation", load.total_variation}};
}

nlohmann::ordered_json json_of(const ComparedTrace& counts) {
  return {{"tokens", counts.tokens},
          {"prefill_tokens", counts.prefill_tokens},
          {"requests", counts.requests},
          {"not_routed", counts.not_routed}};
}

nlohmann::ordered_json json_of(const ColumnDifference& column) {
  nlohmann::ordered_json json{
      {"column", column.column}, {"values", column.values}, {"row", column.row}};
  if (column.layer >= 0) {
    json["layer"] = column.layer;
    json["choice"] = column.choice;
  }
  json["a"] = column.a;
  json["b"] = column.b;
  return json;
}

}  // namespace

std::string diff_text(const TraceDifference& difference,
                      const std::string& a_name,
                      const std::string& b_name) {
  std::string text = fmt::format("A: {}\nB: {}\n", a_name, b_name);
  if (difference.identical())
    return text +
           fmt::format("identical: {} tokens, every column and the header\n", difference.a.tokens);
  text += "\n" + first_differences(difference) + "\n" + side_by_side(difference);
  if (difference.layers.empty())
    return text +
           "\nThe traces share no layer, or their experts or top_k differ: choices are not "
           "compared.\n";
  text += fmt::format("\nOver the {} rows that both have; loads over all rows of either.\n",
                      difference.compared_rows);
  return text + by_layer(difference) +
         "set overlap: mean of |A and B| / |A or B| of a token's experts, whatever their order; "
         "load distance: total variation\nbetween the load shares of A and B, over all tokens and "
         "by domain.\n";
}

std::string diff_json(const TraceDifference& difference,
                      const std::string& a_name,
                      const std::string& b_name) {
  nlohmann::ordered_json json{{"files", {{"a", a_name}, {"b", b_name}}},
                              {"identical", difference.identical()},
                              {"header", nlohmann::ordered_json::array()},
                              {"columns", nlohmann::ordered_json::array()},
                              {"a", json_of(difference.a)},
                              {"b", json_of(difference.b)},
                              {"compared_rows", difference.compared_rows},
                              {"layers", nlohmann::ordered_json::array()}};
  for (const HeaderDifference& field : difference.header)
    json["header"].push_back({{"field", field.field}, {"a", field.a}, {"b", field.b}});
  for (const ColumnDifference& column : difference.columns)
    json["columns"].push_back(json_of(column));
  for (const LayerDifference& layer : difference.layers) {
    nlohmann::ordered_json entry{{"layer", layer.layer},
                                 {"changed_choices", layer.changed_choices},
                                 {"set_overlap", layer.set_overlap},
                                 {"all", json_of(layer.all)},
                                 {"by_domain", nlohmann::ordered_json::object()}};
    for (std::size_t domain = 0; domain < layer.by_domain.size(); ++domain)
      entry["by_domain"][difference.domains[domain]] = json_of(layer.by_domain[domain]);
    json["layers"].push_back(entry);
  }
  return json.dump(2) + "\n";
}

}  // namespace moesim
