// The output of a recorded block, from its weights in whatever layout its model has, in double.
#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "workloads/forward/check/router_case.h"

namespace moesim {
namespace {

using Vector = std::vector<double>;

// A matrix inside an array: element (row, column) of a slice of it.
struct View {
  const CaseArray* array = nullptr;
  std::int64_t first = 0, rows = 0, columns = 0;
  bool transposed = false;
  double at(std::int64_t row, std::int64_t column) const {
    const std::int64_t place = transposed ? column * rows + row : row * columns + column;
    return array->values[static_cast<std::size_t>(first + place)];
  }
};

Vector multiply(const View& matrix, const Vector& x) {
  Vector y(static_cast<std::size_t>(matrix.rows));
  for (std::int64_t row = 0; row < matrix.rows; ++row)
    for (std::int64_t column = 0; column < matrix.columns; ++column)
      y[static_cast<std::size_t>(row)] +=
          matrix.at(row, column) * x[static_cast<std::size_t>(column)];
  return y;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// `up` gives gate rows first where it has twice the columns of `down`; else relu squared.
Vector run(const View& up, const View& down, const Vector& x) {
  Vector inner = multiply(up, x);
  const auto width = static_cast<std::size_t>(down.columns);
  for (std::size_t i = 0; i < width; ++i) {
    const double relu = std::max(inner[i], 0.0);
    inner[i] =
        inner.size() == 2 * width ? inner[i] * sigmoid(inner[i]) * inner[width + i] : relu * relu;
  }
  inner.resize(width);
  return multiply(down, inner);
}

View whole(const CaseArray& array) { return {&array, 0, array.size(0), array.size(1), false}; }

View slice(const CaseArray& array, std::int64_t index, bool transposed) {
  const std::int64_t rows = array.size(transposed ? 2 : 1),
                     columns = array.size(transposed ? 1 : 2);
  return {&array, index * rows * columns, rows, columns, transposed};
}

// gate and up as one array, for experts stored one by one.
CaseArray stacked(const CaseArray& gate, const CaseArray& up) {
  CaseArray both{{gate.size(0) + up.size(0), gate.size(1)}, gate.values};
  both.values.insert(both.values.end(), up.values.begin(), up.values.end());
  return both;
}

using Expert = std::function<Vector(std::int64_t expert, const Vector& x)>;

// Experts fused in one tensor, or one by one under either pair of names; null when there are none.
Expert experts_of(const RouterCase& of) {
  const bool transposed = of.router.scales_input;  // Llama 4 stores [experts][in][out]
  for (const auto& [up, down] : {std::pair("experts.gate_up_proj", "experts.down_proj"),
                                 std::pair("experts.up_proj", "experts.down_proj"),
                                 std::pair("input_linear.weight", "output_linear.weight")})
    if (const CaseArray* fused = of.param(up)) {
      const CaseArray* back = of.param(down);
      if (back == nullptr) of.node.at("params").fail(std::string("has no ") + down);
      return [=](std::int64_t expert, const Vector& x) {
        return run(slice(*fused, expert, transposed), slice(*back, expert, transposed), x);
      };
    }
  for (const auto& [gate, up, down] :
       {std::tuple("gate_proj", "up_proj", "down_proj"), std::tuple("w1", "w3", "w2")}) {
    const auto name = [](std::int64_t expert, const char* matrix) {
      return "experts." + std::to_string(expert) + "." + matrix + ".weight";
    };
    if (of.param(name(0, gate)) == nullptr) continue;
    return [&of, name, gate = gate, up = up, down = down](std::int64_t expert, const Vector& x) {
      const CaseArray both =
          stacked(of.params.at(name(expert, gate)), of.params.at(name(expert, up)));
      return run(whole(both), whole(of.params.at(name(expert, down))), x);
    };
  }
  return nullptr;
}

Vector shared_output(const RouterCase& of, const Vector& x) {
  for (const std::string& prefix :
       {std::string("shared_expert."), std::string("shared_experts.")}) {
    const CaseArray* up = of.param(prefix + "up_proj.weight");
    if (up == nullptr) continue;
    const CaseArray* gate = of.param(prefix + "gate_proj.weight");
    const CaseArray both = gate == nullptr ? *up : stacked(*gate, *up);
    Vector y = run(whole(both), whole(of.params.at(prefix + "down_proj.weight")), x);
    if (const CaseArray* own = of.param("shared_expert_gate.weight")) {
      const double share = sigmoid(multiply(whole(*own), x)[0]);
      for (double& value : y) value *= share;
    }
    return y;
  }
  return Vector(x.size());
}

}  // namespace

std::vector<double> block_output(const RouterCase& of,
                                 const std::vector<std::uint16_t>& experts,
                                 const std::vector<float>& weights) {
  const Expert expert = experts_of(of);
  if (!expert) return {};
  const std::int64_t zero_from =
      of.columns - static_cast<std::int64_t>(
                       of.node.at("config").has("zero_expert_num")
                           ? of.node.at("config").at("zero_expert_num").as_int(0, of.columns)
                           : 0);
  std::vector<double> output;
  const auto top_k = static_cast<std::size_t>(of.top_k);
  for (std::int64_t token = 0; token < of.tokens; ++token) {
    const auto first = of.x.values.begin() + token * of.hidden;
    const Vector x(first, first + of.hidden);
    Vector y = shared_output(of, x);
    for (std::size_t i = static_cast<std::size_t>(token) * top_k;
         i < static_cast<std::size_t>(token + 1) * top_k; ++i) {
      Vector in = x;
      if (of.router.scales_input)
        for (double& value : in) value *= weights[i];
      const Vector out = experts[i] >= zero_from ? in : expert(experts[i], in);
      for (std::size_t h = 0; h < y.size(); ++h)
        y[h] += out[h] * (of.router.scales_input ? 1.0 : static_cast<double>(weights[i]));
    }
    output.insert(output.end(), y.begin(), y.end());
  }
  return output;
}

}  // namespace moesim
