// One matrix, or several that are added up.
#include "sim/plan/expert_load_file.h"

#include <fmt/format.h>

#include "sim/io/json_reader.h"

namespace moesim {
namespace {

using Matrix = std::vector<std::vector<double>>;

JsonNode matrix_in(const JsonNode& root) {
  if (!root.is_object()) return root;
  for (const char* key : {"loads", "weight", "logical_count"})
    if (const auto found = root.find(key)) return *found;
  root.fail(
      "has no \"loads\", \"weight\" or \"logical_count\": one of them holds the loads, "
      "[layer][expert]");
}

std::vector<double> read_layer(const JsonNode& layer) {
  std::vector<double> load;
  for (const JsonNode& value : layer.items()) {
    load.push_back(value.as_number());
    if (load.back() < 0)
      value.fail(fmt::format("a load is 0 or more token copies, not {}", load.back()));
  }
  return load;
}

Matrix read_matrix(const JsonNode& node) {
  Matrix matrix;
  for (const JsonNode& layer : node.items()) {
    matrix.push_back(read_layer(layer));
    if (matrix.back().empty()) layer.fail("a layer needs the load of at least one expert");
    if (matrix.back().size() != matrix.front().size())
      layer.fail(fmt::format("has {} experts, the first layer {}; all layers must have as many",
                             matrix.back().size(), matrix.front().size()));
  }
  if (matrix.empty()) node.fail("needs the loads of at least one layer, [layer][expert]");
  return matrix;
}

bool has_third_axis(const JsonNode& node) {
  const std::vector<JsonNode> items = node.items();
  if (items.empty() || !items.front().is_array()) return false;
  const std::vector<JsonNode> first = items.front().items();
  return !first.empty() && first.front().is_array();
}

void add(const JsonNode& node, const Matrix& matrix, Matrix& sum) {
  if (matrix.size() != sum.size() || matrix.front().size() != sum.front().size())
    node.fail(fmt::format("is {} x {}, the first matrix {} x {}; all must be alike", matrix.size(),
                          matrix.front().size(), sum.size(), sum.front().size()));
  for (std::size_t layer = 0; layer < sum.size(); ++layer)
    for (std::size_t expert = 0; expert < sum[layer].size(); ++expert)
      sum[layer][expert] += matrix[layer][expert];
}

}  // namespace

Matrix read_expert_load(const std::string& path) {
  const JsonNode node = matrix_in(read_json_file(path));
  if (!has_third_axis(node)) return read_matrix(node);
  Matrix sum;
  for (const JsonNode& moment : node.items()) {
    Matrix matrix = read_matrix(moment);
    if (sum.empty())
      sum = std::move(matrix);
    else
      add(moment, matrix, sum);
  }
  return sum;
}

}  // namespace moesim
